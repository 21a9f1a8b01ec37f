/** Which databases' copies are to be made equal to the upstream's again, whatever they hold; see src/member/mirror-resync.ts. */
import type { Database } from "better-sqlite3";
import { z } from "zod";
import { corrupt } from "./state-decode.ts";

/** `resync`: by the pages that differ; `snapshot`: by all pages. */
export const RESYNC_METHODS = ["resync", "snapshot"] as const;
/**
 * `operator`: asked for; `seed`: a copy was put in place; `given up`: the upstream no longer has what the copy needs; `rejoin`:
 * it holds what is in no later epoch, which is kept elsewhere.
 */
export const RESYNC_REASONS = ["operator", "seed", "given up", "rejoin"] as const;

export type ResyncMethod = (typeof RESYNC_METHODS)[number];
export type ResyncReason = (typeof RESYNC_REASONS)[number];

export interface ResyncOrder {
  readonly method: ResyncMethod;
  readonly reason: ResyncReason;
  /** Milliseconds since 1970, by this member's clock. */
  readonly atMs: number;
}

const rowSchema = z.object({
  database: z.string(),
  method: z.enum(RESYNC_METHODS),
  reason: z.enum(RESYNC_REASONS),
  at_ms: z.bigint(),
});

export class ResyncLedger {
  readonly #database: Database;
  /** Asked at every turn of every database. */
  #orders: Map<string, ResyncOrder> | null = null;

  constructor(database: Database) {
    this.#database = database;
  }

  get(database: string): ResyncOrder | null {
    this.#orders ??= this.#read();
    return this.#orders.get(database) ?? null;
  }

  save(database: string, { method, reason, atMs }: ResyncOrder): void {
    this.#orders = null;
    this.#database.prepare("INSERT OR REPLACE INTO resyncs VALUES (?, ?, ?, ?)").run(database, method, reason, atMs);
  }

  delete(database: string): void {
    this.#orders = null;
    this.#database.prepare("DELETE FROM resyncs WHERE database = ?").run(database);
  }

  #read(): Map<string, ResyncOrder> {
    const rows = this.#database.prepare<[], unknown>("SELECT * FROM resyncs").all();
    return new Map(
      rows.map((row) => {
        const { success, data } = rowSchema.safeParse(row);
        if (!success)
          throw corrupt(
            "a resync order",
            JSON.stringify(row, (_, value) => String(value)),
          );
        return [data.database, { method: data.method, reason: data.reason, atMs: Number(data.at_ms) }];
      }),
    );
  }
}
