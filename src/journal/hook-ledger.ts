/** Which hooks have ended well, so that a command that is repeated does not run them again; see src/hooks/run-hook-once.ts. */
import type { Database } from "better-sqlite3";

/** What a hook is told once. */
export interface HookOccasion {
  readonly event: string;
  /** The role that the member has from then on. */
  readonly role: string;
  readonly epoch: number;
}

export class HookLedger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  isDone({ event, role, epoch }: HookOccasion): boolean {
    const select = this.#database.prepare("SELECT 1 FROM hook_runs WHERE event = ? AND role = ? AND epoch = ?");
    return select.get(event, role, epoch) !== undefined;
  }

  /** The role and epoch that an event was told for last; null when it never was. */
  newest(event: string): Omit<HookOccasion, "event"> | null {
    const row = this.#database
      .prepare<[string], { role: string; epoch: bigint }>(
        "SELECT role, epoch FROM hook_runs WHERE event = ? ORDER BY epoch DESC, done_at_ms DESC LIMIT 1",
      )
      .get(event);
    return row === undefined ? null : { role: row.role, epoch: Number(row.epoch) };
  }

  /** @param atMs milliseconds since 1970, by this member's clock. Idempotent; durable when it returns. */
  saveDone({ event, role, epoch }: HookOccasion, atMs: number): void {
    this.#database
      .prepare("INSERT OR IGNORE INTO hook_runs (event, role, epoch, done_at_ms) VALUES (?, ?, ?, ?)")
      .run(event, role, epoch, atMs);
  }

  /** It is to be told again. */
  forget({ event, role, epoch }: HookOccasion): void {
    this.#database.prepare("DELETE FROM hook_runs WHERE event = ? AND role = ? AND epoch = ?").run(event, role, epoch);
  }
}
