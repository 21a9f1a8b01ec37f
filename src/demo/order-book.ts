/**
 * The application of the demonstration: an order book in one SQLite database, written as any application would write it.
 * It opens its database with the driver's default settings and knows nothing of Afterimage.
 *
 * Every transaction leaves the invariants that `order-audit.ts` checks: stock and sold pieces add up to a constant, an
 * order's total is the sum of its lines, the counters match what they count, order numbers have no holes.
 */
import Database from "better-sqlite3";

const PRODUCTS = 2_000;
const INITIAL_STOCK = 1_000_000;
const LARGEST_QUANTITY = 5;

const SCHEMA = `
  CREATE TABLE product (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL, sold INTEGER NOT NULL
  );
  CREATE TABLE orders (
    id INTEGER PRIMARY KEY, state TEXT NOT NULL, lines INTEGER NOT NULL, total INTEGER NOT NULL, committed_at_ms INTEGER NOT NULL
  );
  CREATE TABLE order_line (
    order_id INTEGER NOT NULL, line INTEGER NOT NULL, product_id INTEGER NOT NULL, quantity INTEGER NOT NULL,
    amount INTEGER NOT NULL, PRIMARY KEY (order_id, line)
  ) WITHOUT ROWID;
  CREATE INDEX order_line_product ON order_line (product_id);
  CREATE TABLE counters (
    id INTEGER PRIMARY KEY CHECK (id = 1), commits INTEGER NOT NULL, orders INTEGER NOT NULL, cancelled INTEGER NOT NULL,
    lines INTEGER NOT NULL, revenue INTEGER NOT NULL, pieces INTEGER NOT NULL
  );
`;

interface OrderBookSources {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** From 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
}

interface LineRow {
  product_id: number;
  quantity: number;
  amount: number;
}

export class OrderBook {
  readonly #db: Database.Database;
  readonly #sources: OrderBookSources;
  readonly #statements: ReturnType<typeof prepareStatements>;
  #committed: number;
  #orders: number;
  #schemaChanges: number;

  private constructor(db: Database.Database, sources: OrderBookSources) {
    this.#db = db;
    this.#sources = sources;
    this.#statements = prepareStatements(db);
    const { commits, orders, changes } = this.#statements.standing.get() ?? { commits: 0, orders: 0, changes: 0 };
    this.#committed = commits;
    this.#orders = orders;
    this.#schemaChanges = changes;
  }

  /** Creates the database at `path` in WAL mode, with products and no orders. */
  static create(path: string, sources: OrderBookSources): OrderBook {
    const db = new Database(path);
    db.pragma("journal_mode = WAL");
    createSchema(db, sources);
    return new OrderBook(db, sources);
  }

  /** Opens the database at `path`, and goes on with what is in it. */
  static open(path: string, sources: OrderBookSources): OrderBook {
    return new OrderBook(new Database(path), sources);
  }

  /** Transactions that have been committed since the schema was made; the same number is in `counters.commits`. */
  get committed(): number {
    return this.#committed;
  }

  /** Orders placed so far, which is also the number of the newest one. */
  get orders(): number {
    return this.#orders;
  }

  /** How often the schema was changed so far. */
  get schemaChanges(): number {
    return this.#schemaChanges;
  }

  /** Places one order of `lineCount` lines: the lines, the stock they take, the counters and the order, all or nothing. */
  placeOrder(lineCount: number): void {
    const { takeStock, addLine, addOrder, price } = this.#statements;
    const order = this.#orders + 1;
    this.#commit(() => {
      let total = 0;
      for (let line = 1; line <= lineCount; line++) {
        const product = 1 + this.#below(PRODUCTS);
        const quantity = 1 + this.#below(LARGEST_QUANTITY);
        const amount = quantity * (price.get(product) ?? 0);
        takeStock.run(quantity, quantity, product);
        addLine.run(order, line, product, quantity, amount);
        total += amount;
      }
      this.#count({ orders: 1, cancelled: 0, lines: lineCount, revenue: total });
      // The last statement before COMMIT: a mirror's reader measures its lag from this time.
      addOrder.run(order, lineCount, total, this.#sources.now());
    });
    this.#orders = order;
  }

  /** Cancels a random order that still stands: its lines are deleted and their pieces go back to stock. */
  cancelAnOrder(): void {
    const { findOrder, linesOf, takeStock, deleteLines, cancelOrder } = this.#statements;
    const order = findOrder.get(1 + this.#below(Math.max(1, this.#orders)));
    if (order === undefined) return;
    this.#commit(() => {
      for (const line of linesOf.all(order.id)) takeStock.run(-line.quantity, -line.quantity, line.product_id);
      deleteLines.run(order.id);
      cancelOrder.run(order.id);
      this.#count({ orders: 0, cancelled: 1, lines: -order.lines, revenue: -order.total });
    });
  }

  /** Moves one piece between the products of every pair: a transaction that touches every page of the stock. */
  shiftStock(): void {
    this.#commit(() => {
      this.#statements.shiftStock.run();
      this.#count({ orders: 0, cancelled: 0, lines: 0, revenue: 0 });
    });
  }

  /** Changes the schema while everything runs: by turns a new table that is filled, and a new index. */
  changeSchema(): void {
    this.#schemaChanges++;
    const n = this.#schemaChanges;
    this.#commit(() => {
      if (n % 2 === 1) {
        this.#db.exec(`CREATE TABLE delivery_${n} (order_id INTEGER PRIMARY KEY, note TEXT NOT NULL)`);
        this.#db.exec(`INSERT INTO delivery_${n} SELECT id, 'order ' || id FROM orders ORDER BY id DESC LIMIT 500`);
      } else {
        this.#db.exec(`CREATE INDEX orders_total_${n} ON orders (total)`);
      }
      this.#count({ orders: 0, cancelled: 0, lines: 0, revenue: 0 });
    });
  }

  close(): void {
    this.#db.close();
  }

  #commit(change: () => void): void {
    this.#db.transaction(change).immediate();
    this.#committed++;
  }

  #count(change: { orders: number; cancelled: number; lines: number; revenue: number }): void {
    this.#statements.count.run(change);
  }

  #below(limit: number): number {
    return Math.floor(this.#sources.random() * limit);
  }
}

function createSchema(db: Database.Database, sources: OrderBookSources): void {
  db.transaction(() => {
    db.exec(SCHEMA);
    const insert = db.prepare("INSERT INTO product (id, name, price, stock, sold) VALUES (?, ?, ?, ?, 0)");
    for (let id = 1; id <= PRODUCTS; id++) {
      insert.run(id, `product ${id}`, 100 + Math.floor(sources.random() * 10_000), INITIAL_STOCK);
    }
    db.prepare("INSERT INTO counters VALUES (1, 0, 0, 0, 0, 0, ?)").run(PRODUCTS * INITIAL_STOCK);
  }).immediate();
}

function prepareStatements(db: Database.Database) {
  return {
    standing: db.prepare<[], { commits: number; orders: number; changes: number }>(`
      SELECT commits, orders,
        (SELECT count(*) FROM sqlite_master WHERE name LIKE 'delivery@_%' ESCAPE '@' OR name LIKE 'orders@_total@_%' ESCAPE '@')
          AS changes
      FROM counters
    `),
    price: db.prepare<[number], number>("SELECT price FROM product WHERE id = ?").pluck(),
    takeStock: db.prepare("UPDATE product SET stock = stock - ?, sold = sold + ? WHERE id = ?"),
    addLine: db.prepare("INSERT INTO order_line VALUES (?, ?, ?, ?, ?)"),
    addOrder: db.prepare("INSERT INTO orders VALUES (?, 'placed', ?, ?, ?)"),
    findOrder: db.prepare<[number], { id: number; lines: number; total: number }>(
      "SELECT id, lines, total FROM orders WHERE id = ? AND state = 'placed'",
    ),
    linesOf: db.prepare<[number], LineRow>("SELECT product_id, quantity, amount FROM order_line WHERE order_id = ?"),
    deleteLines: db.prepare("DELETE FROM order_line WHERE order_id = ?"),
    cancelOrder: db.prepare("UPDATE orders SET state = 'cancelled', lines = 0, total = 0 WHERE id = ?"),
    shiftStock: db.prepare("UPDATE product SET stock = stock + CASE id % 2 WHEN 0 THEN 1 ELSE -1 END"),
    count: db.prepare(`
      UPDATE counters SET commits = commits + 1, orders = orders + :orders, cancelled = cancelled + :cancelled,
        lines = lines + :lines, revenue = revenue + :revenue
    `),
  };
}
