/**
 * The reader's side of the order book: what it shows at one moment, and whether its invariants hold.
 *
 * Each method reads inside one read transaction, so a violated invariant means that the database itself was wrong at
 * some moment, not that two statements saw two states.
 */
import type Database from "better-sqlite3";

/** What a cheap look at the order book gives. */
export interface OrderGlimpse {
  /** Transactions of the application that are visible. */
  readonly commits: number;
  /** Orders that are visible, which is also the number of the newest one. */
  readonly orders: number;
  /** When each order after the one asked about was committed, ms since the Unix epoch, oldest first. */
  readonly committedAtMs: readonly number[];
}

interface Counters {
  commits: number;
  orders: number;
  cancelled: number;
  lines: number;
  revenue: number;
  pieces: number;
}

export class OrderAudit {
  readonly #glimpse: (after: number) => OrderGlimpse;
  readonly #violations: () => string[];

  /** `db` may be a read-only connection. */
  constructor(db: Database.Database) {
    this.#glimpse = prepareGlimpse(db);
    this.#violations = prepareViolations(db);
  }

  /** The counters, and the orders that are newer than order `after`. Costs as much as there are new orders. */
  glimpse(after: number): OrderGlimpse {
    return this.#glimpse(after);
  }

  /** Checks every invariant over the whole database; one sentence for each that is broken. */
  violations(): string[] {
    return this.#violations();
  }
}

function prepareGlimpse(db: Database.Database): (after: number) => OrderGlimpse {
  const counters = db.prepare<[], Counters>("SELECT * FROM counters");
  const newer = db.prepare<[number], number>("SELECT committed_at_ms FROM orders WHERE id > ? ORDER BY id").pluck();
  return db.transaction((after: number) => {
    const { commits = 0, orders = 0 } = counters.get() ?? {};
    return { commits, orders, committedAtMs: orders > after ? newer.all(after) : [] };
  });
}

function prepareViolations(db: Database.Database): () => string[] {
  const counters = db.prepare<[], Counters>("SELECT * FROM counters");
  const number = (sql: string) => db.prepare<[], number>(sql).pluck();
  const measured = {
    stockAndSold: number("SELECT sum(stock + sold) FROM product"),
    sold: number("SELECT sum(sold) FROM product"),
    quantities: number("SELECT coalesce(sum(quantity), 0) FROM order_line"),
    orders: number("SELECT count(*) FROM orders"),
    newestOrder: number("SELECT coalesce(max(id), 0) FROM orders"),
    cancelled: number("SELECT count(*) FROM orders WHERE state = 'cancelled'"),
    lines: number("SELECT count(*) FROM order_line"),
    revenue: number("SELECT coalesce(sum(amount), 0) FROM order_line"),
    wrongOrders: number(`
      SELECT count(*) FROM orders AS o WHERE (o.total, o.lines) IS NOT
        (SELECT coalesce(sum(l.amount), 0), count(l.line) FROM order_line AS l WHERE l.order_id = o.id)
    `),
  };
  return db.transaction(() => {
    const counted = counters.get();
    if (counted === undefined) return ["the counters are missing"];
    const found: string[] = [];
    const expect = (what: string, actual: number | undefined, expected: number) => {
      if (actual !== expected) found.push(`${what} is ${actual}, not ${expected}`);
    };
    expect("the sum of stock and sold pieces", measured.stockAndSold.get(), counted.pieces);
    expect("the number of sold pieces", measured.sold.get(), measured.quantities.get() ?? -1);
    expect("the number of orders", measured.orders.get(), counted.orders);
    expect("the newest order's number", measured.newestOrder.get(), counted.orders);
    expect("the number of cancelled orders", measured.cancelled.get(), counted.cancelled);
    expect("the number of order lines", measured.lines.get(), counted.lines);
    expect("the revenue", measured.revenue.get(), counted.revenue);
    expect("the number of orders that differ from their lines", measured.wrongOrders.get(), 0);
    return found;
  });
}
