/**
 * What can be salvaged of one database: segments, made and proved in a directory of their own. Nothing is delivered here.
 *
 * Guarantee: the segments continue the mirror's journal, and lead to the very pages that SQLite shows of the lost database,
 * unless the operator did without that proof. Whatever cannot be proved to continue the journal is refused, with the reason.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Configuration } from "../config/configuration.ts";
import type { StateStore } from "../journal/state-store.ts";
import { formatPosition, type Position } from "../ltx/position.ts";
import { comparePages } from "../sqlite/compare-pages.ts";
import { diffBaseline } from "../sqlite/page-difference.ts";
import type { WalPosition } from "../sqlite/wal-format.ts";
import { type Evidence, gatherEvidence } from "./evidence.ts";
import { JournalEnd } from "./journal-end.ts";
import { LostDatabase } from "./lost-database.ts";
import type { LostFiles } from "./lost-files.ts";
import type { LostMachine } from "./lost-machine.ts";
import { RemainsCutter } from "./remains-cutter.ts";
import { SalvageError } from "./salvage-error.ts";
import { FilePages, settle } from "./settled-copy.ts";
import { type TakenSegment, takeUnshipped } from "./unshipped-segments.ts";
import { countFramesAfter, followFrames, meetWal, startOfWal, type WalMeeting } from "./wal-remains.ts";

export interface PlanOptions {
  readonly configuration: Configuration;
  readonly database: string;
  readonly files: LostFiles;
  readonly machine: LostMachine;
  /** The mirror's state, which is only read. */
  readonly store: StateStore;
  /** The mirror's journal directory. */
  readonly journal: string;
  /** An empty directory. */
  readonly scratch: string;
  readonly epoch: number;
  /** Of the lost member's commits. */
  readonly nodeId: bigint;
  /** Take the pages that differ where it cannot be proved that the database continues the journal. */
  readonly acceptDifference: boolean;
  /** Compare every page with what SQLite shows. */
  readonly prove: boolean;
}

export interface SalvagePlan {
  /** The end of the mirror's journal without and with what was salvaged; null: none. */
  readonly from: Position | null;
  readonly to: Position | null;
  /** From the lost member's journal, oldest first. */
  readonly unshipped: readonly TakenSegment[];
  /** From its WAL, or the difference of the pages. */
  readonly cut: readonly TakenSegment[];
  readonly method: "none" | "wal" | "difference";
  /** Whether every page was found equal to what SQLite shows of the lost database. */
  readonly proved: boolean;
  /** Frames after the last commit in the WAL. */
  readonly discardedFrames: number;
  /** When the last transaction was made, as far as is known; milliseconds since 1970. */
  readonly lastCommitMs: number | null;
  readonly evidence: Evidence | null;
  /** What the operator should know: what could not be used, and why. */
  readonly notes: readonly string[];
}

/** @throws SalvageError; SegmentError, DatabaseError, StateError when something is damaged. */
export async function planSalvage(options: PlanOptions): Promise<SalvagePlan> {
  return await new Planning(options).run();
}

class Planning {
  readonly #options: PlanOptions;
  readonly #notes: string[] = [];
  #cut: TakenSegment[] = [];
  #method: SalvagePlan["method"] = "none";
  #proved = false;
  #discardedFrames = 0;
  #evidence: Evidence | null = null;

  constructor(options: PlanOptions) {
    this.#options = options;
  }

  async run(): Promise<SalvagePlan> {
    const { configuration, database, machine, files, store, epoch, journal } = this.#options;
    const end = await JournalEnd.ofMirror(store, journal, database);
    const from = end.position;
    const scratch = this.#directory("journal");
    const unshipped =
      machine.journal === null
        ? []
        : await takeUnshipped(
            { configuration, files, journal: machine.journal, database, epoch, scratch },
            end,
            this.#notes,
          );
    if (end.position === null) throw noBeginning(database);
    this.#noteState(end);
    const path = this.#databasePath();
    if (path !== null) await this.#takeRemains(path, end);
    const last = [...unshipped, ...this.#cut].at(-1);
    return {
      ...{ from, to: end.position, unshipped, cut: this.#cut, method: this.#method, proved: this.#proved },
      ...{ discardedFrames: this.#discardedFrames, evidence: this.#evidence, notes: this.#notes },
      lastCommitMs: last?.timestampMs ?? null,
    };
  }

  #directory(name: string): string {
    const path = join(this.#options.scratch, name);
    mkdirSync(path);
    return path;
  }

  /** The place in the WAL that the lost state has saved, if it is of this very position. */
  #noteState(end: JournalEnd): void {
    const row = this.#options.machine.state?.rows.get(this.#options.database);
    const { position } = end;
    if (row?.walPosition == null || row.received === null || position === null) return;
    if (formatPosition(row.received) === formatPosition(position)) end.noteFirst(row.walPosition);
  }

  #databasePath(): string | null {
    const { machine, database } = this.#options;
    const path = machine.databases.get(database) ?? null;
    if (machine.state?.role?.role === "mirror") {
      this.#notes.push(
        `${machine.state.identity.member} was a mirror: its WAL holds nothing that its journal does not`,
      );
      return null;
    }
    if (path === null) this.#notes.push("neither the database nor its WAL was found: only its journal was looked at");
    return path;
  }

  async #takeRemains(path: string, end: JournalEnd): Promise<void> {
    using lost = await LostDatabase.open(this.#options.files, path, this.#directory("copy"), end.pageSize ?? 0);
    const meeting = meet(lost, end);
    if (meeting.kind === "ahead") {
      this.#notes.push(`this mirror has more than the lost database: ${meeting.reason}`);
      return;
    }
    if (meeting.kind === "continues" && meeting.isDamaged && this.#options.prove) throw damaged();
    const needsDatabase = this.#options.prove || meeting.kind === "different";
    const copy = needsDatabase ? await lost.copyDatabase() : null;
    const from = meeting.kind === "continues" ? meeting.from : await restarted(lost, copy, end);
    const walEnd = lastCommit(lost);
    if (from !== null && lost.wal !== null) {
      const to = followFrames(lost.wal.file, from).lastCommit ?? from;
      this.#cut = await this.#cutter(lost, end).cutWal(lost.wal.file, from, to);
      if (this.#cut.length > 0) this.#method = "wal";
    }
    if (walEnd !== null && lost.wal !== null) this.#discardedFrames = countFramesAfter(lost.wal.file, walEnd);
    const reason = meeting.kind === "continues" || from !== null ? null : meeting.reason;
    await this.#prove(lost, copy, end, { walEnd, reason });
  }

  /** Compares all pages with what SQLite shows; what differs is taken only if that was accepted. */
  async #prove(
    lost: LostDatabase,
    copy: string | null,
    end: JournalEnd,
    { walEnd, reason }: { walEnd: WalPosition | null; reason: string | null },
  ): Promise<void> {
    const { acceptDifference, prove } = this.#options;
    if (reason === null && !prove) return;
    if (copy === null) throw noDatabase(reason);
    settle(copy);
    using pages = new FilePages(copy, end.pageSize ?? 0);
    const before = end.table.pageCount;
    const difference = diffBaseline(pages, end.table);
    const differing: number[] = [];
    for (const { pgno } of difference.pages()) differing.push(pgno);
    if (differing.length === 0 && pages.pageCount === before) {
      this.#proved = true;
      return;
    }
    const evidence = await gatherEvidence(this.#options, { pages, end, lost, differing });
    if (!acceptDifference) throw unproved(evidence, reason);
    this.#evidence = evidence;
    this.#cut.push(await this.#cutter(lost, end).cutDifference(difference, walEnd));
    this.#method = "difference";
    this.#proved = true;
  }

  #cutter(lost: LostDatabase, end: JournalEnd): RemainsCutter {
    const { configuration, database, epoch, nodeId, scratch } = this.#options;
    const { maxSegmentBytes } = configuration.journal;
    const directory = join(scratch, "cut");
    mkdirSync(directory, { recursive: true });
    return new RemainsCutter(
      { database, epoch, nodeId, maxSegmentBytes, directory, timestampMs: lost.writtenAtMs },
      end,
    );
  }
}

/** The best of what is known of the journal's end decides. */
function meet(lost: LostDatabase, end: JournalEnd): WalMeeting {
  const { wal } = lost;
  if (wal === null) return { kind: "different", reason: `there is no WAL: ${lost.noWal}` };
  const meetings = end.marks.map((mark) => meetWal(wal.file, wal.header, mark, end.table));
  return (
    meetings.find(({ kind }) => kind === "continues") ??
    meetings[0] ?? { kind: "different", reason: "no segment says where in the WAL the journal ends" }
  );
}

/**
 * The start of a WAL that was restarted exactly where the journal ends: SQLite restarts it only once all of it is in the
 * database file, so the file, without the WAL, is then the very state that the journal ends with. Null when it is not.
 */
async function restarted(lost: LostDatabase, copy: string | null, end: JournalEnd): Promise<WalPosition | null> {
  if (copy === null || lost.wal === null) return null;
  using pages = new FilePages(copy, end.pageSize ?? 0);
  const { problems } = await comparePages(end.table, pages);
  return problems.length === 0 ? startOfWal(lost.wal.header) : null;
}

/** The last commit in the WAL, or its start. */
function lastCommit({ wal }: LostDatabase): WalPosition | null {
  if (wal === null) return null;
  const start = startOfWal(wal.header);
  return followFrames(wal.file, start).lastCommit ?? start;
}

function damaged(): SalvageError {
  return new SalvageError("SALVAGE_UNPROVED", "the WAL is damaged where the journal has its commits already", {
    hint: "SQLite would not show what follows, so it cannot be compared. --no-proof takes it by the WAL's own checksums.",
  });
}

function noBeginning(database: string): SalvageError {
  return new SalvageError(
    "SALVAGE_NOTHING_FOUND",
    `this mirror has nothing of ${database}, and no snapshot was found`,
    {
      hint: "Give the lost member's journal as well, or restore the database from a backup.",
    },
  );
}

function noDatabase(reason: string | null): SalvageError {
  const hint =
    "Give a place where the database file is as well. With --no-proof a WAL that continues the journal is taken.";
  if (reason === null) return new SalvageError("SALVAGE_UNPROVED", "the database file was not found", { hint });
  return new SalvageError("SALVAGE_WAL_DIFFERENT", `the WAL does not continue the journal: ${reason}`, { hint });
}

function unproved(evidence: Evidence, reason: string | null): SalvageError {
  const { differingPages, earlierPages, pages, changeCounter, journalChangeCounter, walRestarts, modified } = evidence;
  const facts = [
    `${differingPages} of ${pages} pages differ, ${earlierPages} of them as the journal had them before`,
    `change counter ${changeCounter}, the journal's ${journalChangeCounter ?? "unknown"}`,
    ...(walRestarts === null ? [] : [`by its salt the WAL was restarted ${walRestarts} times since`]),
    `last written ${modified}`,
  ].join("; ");
  const hint =
    "If this is the lost database and not another copy of it, --accept-difference takes the pages that differ.";
  return reason === null
    ? new SalvageError("SALVAGE_UNPROVED", `the lost database shows something else than its WAL adds: ${facts}`, {
        hint,
      })
    : new SalvageError("SALVAGE_WAL_DIFFERENT", `the WAL does not continue the journal: ${reason}. ${facts}`, { hint });
}
