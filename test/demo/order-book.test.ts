import { join } from "node:path";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { OrderAudit } from "../../src/demo/order-audit.ts";
import { OrderBook } from "../../src/demo/order-book.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const STEPS: Record<string, (book: OrderBook) => void> = {
  order: (book) => book.placeOrder(3),
  bigOrder: (book) => book.placeOrder(200),
  cancel: (book) => book.cancelAnOrder(),
  shiftStock: (book) => book.shiftStock(),
  changeSchema: (book) => book.changeSchema(),
};

function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state / 0x8000_0000;
  };
}

function openBook(seed = 1): { book: OrderBook; path: string } {
  const path = join(temporaryDirectory(), "shop.db");
  return { book: OrderBook.create(path, { now: () => 1_000, random: pseudoRandom(seed) }), path };
}

test("any history of the order book keeps every invariant", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...Object.keys(STEPS)), { maxLength: 25 }), fc.nat(), (steps, seed) => {
      const { book, path } = openBook(seed);
      for (const name of steps) STEPS[name]?.(book);
      const reader = new Database(path, { readonly: true });
      const audit = new OrderAudit(reader);
      expect(audit.violations()).toEqual([]);
      const { commits, orders, committedAtMs } = audit.glimpse(0);
      expect([commits, orders, committedAtMs.length]).toEqual([book.committed, book.orders, book.orders]);
      reader.close();
      book.close();
    }),
    { numRuns: 20 },
  );
});

test.each([
  [
    "a lost order line",
    "DELETE FROM order_line WHERE (order_id, line) = (5, 2)",
    /order lines|differ from their lines/,
  ],
  ["a lost order", "DELETE FROM orders WHERE id = 2", /number of orders is 4, not 5/],
  ["a stock change without its order", "UPDATE product SET stock = stock - 1 WHERE id = 7", /stock and sold pieces/],
  ["a changed total", "UPDATE orders SET total = total + 1 WHERE id = 3", /differ from their lines is 1, not 0/],
])("the audit notices %s", (_what, damage, expected) => {
  const { book, path } = openBook();
  for (let i = 0; i < 5; i++) book.placeOrder(2);
  const db = new Database(path);
  db.exec(damage);
  expect(new OrderAudit(db).violations().join("; ")).toMatch(expected);
  db.close();
  book.close();
});

test("a glimpse gives the orders after the one asked about", () => {
  const { book, path } = openBook();
  for (let i = 0; i < 4; i++) book.placeOrder(1);
  const db = new Database(path, { readonly: true });
  const audit = new OrderAudit(db);
  expect(audit.glimpse(3)).toEqual({ commits: 4, orders: 4, committedAtMs: [1_000] });
  expect(audit.glimpse(4).committedAtMs).toEqual([]);
  db.close();
  book.close();
});
