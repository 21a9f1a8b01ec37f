/** Alerts that are raised, and notices that somebody is still to be told; see src/member/member-alerts.ts. */
import type { Database } from "better-sqlite3";

export interface QueuedNotice {
  /** Rises, and is never used again. */
  readonly number: number;
  readonly document: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** Statements are prepared when they are needed: a state that is opened only for reading may not have the tables yet. */
export class AlertLedger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The documents of all alerts that are raised. */
  raised(): string[] {
    return this.#database.prepare<[], string>("SELECT document FROM alerts ORDER BY id").pluck().all();
  }

  save(id: string, document: string): void {
    this.#database.prepare("INSERT OR REPLACE INTO alerts VALUES (?, ?)").run(id, document);
  }

  delete(id: string): void {
    this.#database.prepare("DELETE FROM alerts WHERE id = ?").run(id);
  }

  /** Of one channel the newest `keep` are kept. A notice that waits there already is not added again. Call in a transaction. */
  enqueue(channel: string, notice: { id: string; document: string; atMs: number }, keep: number): void {
    const { id, document, atMs } = notice;
    this.#database
      .prepare("INSERT OR IGNORE INTO alert_queue (channel, notice, document, at_ms) VALUES (?, ?, ?, ?)")
      .run(channel, id, document, atMs);
    this.#database
      .prepare(
        `DELETE FROM alert_queue WHERE channel = :channel AND number <=
          (SELECT number FROM alert_queue WHERE channel = :channel ORDER BY number DESC LIMIT 1 OFFSET :keep)`,
      )
      .run({ channel, keep });
  }

  /** The oldest that waits; null when none does. */
  first(channel: string): QueuedNotice | null {
    const row = this.#database
      .prepare<[string], { number: bigint; document: string; at_ms: bigint }>(
        "SELECT number, document, at_ms FROM alert_queue WHERE channel = ? ORDER BY number LIMIT 1",
      )
      .get(channel);
    return row === undefined ? null : { number: Number(row.number), document: row.document, atMs: Number(row.at_ms) };
  }

  /** It was delivered, or is given up. Durable when it returns. */
  remove(number: number): void {
    this.#database.prepare("DELETE FROM alert_queue WHERE number = ?").run(number);
  }
}
