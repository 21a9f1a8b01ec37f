/** What an operator has ordered of integration, and when the window of its schedule last opened. */
import type { Database } from "better-sqlite3";

/** Instead of a database's name: for all that have no order of their own, also those that come later. */
export const ALL_DATABASES = "*";

export interface IntegrationOrder {
  readonly paused: boolean;
  /** Where integration stops: a TXID, 16 hexadecimal digits, or a time, ISO 8601 in UTC; null for nowhere. */
  readonly until: string | null;
}

/** Times in milliseconds since 1970. */
export interface StoredWindow {
  /** The schedule and its time zone, as text. */
  readonly schedule: string;
  /** Null before the first time. */
  readonly lastMs: number | null;
  readonly nextMs: number;
}

export class IntegrationLedger {
  readonly #database: Database;
  /** Asked with every batch of every database. */
  #orders: Map<string, IntegrationOrder> | null = null;

  constructor(database: Database) {
    this.#database = database;
  }

  order(database: string): IntegrationOrder {
    const orders = this.#all();
    return orders.get(database) ?? orders.get(ALL_DATABASES) ?? { paused: false, until: null };
  }

  save(database: string, order: IntegrationOrder): void {
    this.#database
      .prepare("INSERT OR REPLACE INTO integration_orders VALUES (?, ?, ?)")
      .run(database, order.paused ? 1 : 0, order.until);
    this.#orders = null;
  }

  /** Puts one order for all, also those that come later, in place of every other. */
  saveForAll(order: IntegrationOrder): void {
    const replace = () => {
      this.#database.exec("DELETE FROM integration_orders");
      this.save(ALL_DATABASES, order);
    };
    this.#database.transaction(replace).immediate();
  }

  window(): StoredWindow | null {
    const row = this.#database
      .prepare<[], { schedule: string; last_ms: bigint | null; next_ms: bigint }>(
        "SELECT schedule, last_ms, next_ms FROM integration_window",
      )
      .get();
    if (row === undefined) return null;
    const { schedule, last_ms: lastMs, next_ms: nextMs } = row;
    return { schedule, lastMs: lastMs === null ? null : Number(lastMs), nextMs: Number(nextMs) };
  }

  saveWindow({ schedule, lastMs, nextMs }: StoredWindow): void {
    this.#database
      .prepare("INSERT OR REPLACE INTO integration_window VALUES (1, ?, ?, ?)")
      .run(schedule, lastMs, nextMs);
  }

  /** Read when it is needed: a state that is opened only for reading may not have the table yet. */
  #all(): ReadonlyMap<string, IntegrationOrder> {
    this.#orders ??= new Map(
      this.#database
        .prepare<[], { database: string; paused: bigint; until: string | null }>("SELECT * FROM integration_orders")
        .all()
        .map(({ database, paused, until }) => [database, { paused: paused !== 0n, until }]),
    );
    return this.#orders;
  }
}
