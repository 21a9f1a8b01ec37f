/**
 * Under which sessions this state last wrote into each follower's mailbox; see mailbox-lease.ts.
 *
 * A copy of a state directory must not pass for the member that it was copied from, which may still be running. So the
 * sessions count only in the very file that they were written to.
 */
import { statSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { z } from "zod";

const sessionsSchema = z.array(z.string());

export class LeaseLedger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  sessions(follower: string): string[] {
    // Prepared when it is needed: a state that is opened only for reading may not have the table yet.
    const row = this.#database
      .prepare<[string], { sessions: string; inode: bigint }>("SELECT sessions, inode FROM leases WHERE follower = ?")
      .get(follower);
    return row === undefined || row.inode !== this.#inode() ? [] : sessionsSchema.parse(JSON.parse(row.sessions));
  }

  save(follower: string, sessions: readonly string[]): void {
    this.#database
      .prepare("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)")
      .run(follower, JSON.stringify(sessions), this.#inode());
  }

  #inode(): bigint {
    return BigInt.asIntN(64, statSync(this.#database.name, { bigint: true }).ino);
  }
}
