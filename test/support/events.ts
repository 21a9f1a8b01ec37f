/** A member's events, read from its state database while its daemon runs or afterwards. */
import { join } from "node:path";
import Database from "better-sqlite3";
import type { DemoSet } from "../../src/demo/demo-set.ts";

export interface SeenEvent {
  readonly id: number;
  readonly code: string;
  readonly level: string;
  /** Null when it is about the member as a whole. */
  readonly database: string | null;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Events of the member after the one with number `sinceId`, oldest first. */
export function readEvents(set: DemoSet, member: string, sinceId = 0): SeenEvent[] {
  const db = new Database(join(set.statePath(member), "state.db"), { readonly: true, timeout: 5_000 });
  try {
    const rows = db
      .prepare<
        [number],
        { id: number; code: string; level: string; database: string | null; message: string; data: string | null }
      >("SELECT id, code, level, database, message, data FROM events WHERE id > ? ORDER BY id")
      .all(sinceId);
    return rows.map((row) => ({ ...row, data: row.data === null ? {} : JSON.parse(row.data) }));
  } finally {
    db.close();
  }
}
