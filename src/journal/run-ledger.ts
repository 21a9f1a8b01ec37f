/** The runs of this state's daemon, and the newest run of every other member that was seen; see src/member/member-run.ts. */
import type { Database } from "better-sqlite3";

/** As it stood in a status document. */
interface SeenRun {
  readonly instance: string;
  readonly start: number;
  readonly session: string;
  readonly beat: number;
}

export interface KnownRun {
  readonly start: number;
  readonly session: string;
  /** No status document of this run has a higher beat. */
  readonly beats: number;
}

/** Who knows of an older one is years behind. */
const KEPT_RUNS = 1000;

type SightingRow = Omit<SeenRun, "start" | "beat"> & { member: string; start: bigint; beat: bigint };

/** Statements are prepared when they are needed: a state that is opened only for reading may not have the tables yet. */
export class RunLedger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Begins a run, with the number after all that this state knows of. Call in a transaction. */
  begin(session: string, atLeast: number): KnownRun {
    const last = this.#database.prepare<[], bigint | null>("SELECT max(start) FROM runs").pluck().get() ?? 0n;
    const start = Math.max(Number(last) + 1, atLeast);
    this.#database.prepare("INSERT INTO runs VALUES (?, ?, 0)").run(start, session);
    this.#database.prepare("DELETE FROM runs WHERE start <= ?").run(start - KEPT_RUNS);
    return { start, session, beats: 0 };
  }

  /** Null when no run of this state had that session. */
  find(session: string): KnownRun | null {
    const row = this.#database
      .prepare<[string], { start: bigint; beats: bigint }>("SELECT start, beats FROM runs WHERE session = ?")
      .get(session);
    return row === undefined ? null : { session, start: Number(row.start), beats: Number(row.beats) };
  }

  /** Allows beats up to a number. Durable when it returns, so before any of them is published. */
  reserve(session: string, beats: number): void {
    this.#database.prepare("UPDATE runs SET beats = ? WHERE session = ?").run(beats, session);
  }

  /** What was last seen of other members. */
  sightings(): [string, SeenRun][] {
    return this.#database
      .prepare<[], SightingRow>("SELECT member, instance, start, session, beat FROM sightings ORDER BY member")
      .all()
      .map(({ member, instance, start, session, beat }) => [
        member,
        { instance, start: Number(start), session, beat: Number(beat) },
      ]);
  }

  saveSighting(member: string, { instance, start, session, beat }: SeenRun): void {
    this.#database
      .prepare("INSERT OR REPLACE INTO sightings VALUES (?, ?, ?, ?, ?)")
      .run(member, instance, start, session, beat);
  }
}
