/** Which copies are on their way back to the newest epoch, and where what only they had is kept; see src/member/rejoin.ts. */
import type { Database } from "better-sqlite3";
import { z } from "zod";
import { corrupt } from "./state-decode.ts";

export interface PendingRejoin {
  readonly database: string;
  /** Absolute path of what is kept; see src/divergence/kept-state.ts. */
  readonly directory: string;
  /** Milliseconds since 1970, by this member's clock. */
  readonly atMs: number;
}

const rowsSchema = z.array(z.object({ database: z.string(), directory: z.string(), at_ms: z.bigint() }));

export class RejoinLedger {
  readonly #database: Database;
  /** Asked at every turn of a job, and for every status document. */
  #pending: readonly PendingRejoin[] | null = null;

  constructor(database: Database) {
    this.#database = database;
  }

  /** By the name of the database. */
  list(): readonly PendingRejoin[] {
    this.#pending ??= this.#read();
    return this.#pending;
  }

  get(database: string): PendingRejoin | null {
    return this.list().find((each) => each.database === database) ?? null;
  }

  save({ database, directory, atMs }: PendingRejoin): void {
    this.#pending = null;
    this.#database.prepare("INSERT OR REPLACE INTO rejoins VALUES (?, ?, ?)").run(database, directory, atMs);
  }

  delete(database: string): void {
    this.#pending = null;
    this.#database.prepare("DELETE FROM rejoins WHERE database = ?").run(database);
  }

  #read(): readonly PendingRejoin[] {
    const rows = this.#database.prepare("SELECT database, directory, at_ms FROM rejoins ORDER BY database").all();
    const { success, data } = rowsSchema.safeParse(rows);
    if (!success) throw corrupt("databases that rejoin", String(rows));
    return data.map(({ database, directory, at_ms }) => ({ database, directory, atMs: Number(at_ms) }));
  }
}
