/**
 * Process: the application. Arguments: the database's path, orders a second. A database that is there already is gone on with.
 *
 * Most transactions are small orders; now and then one has hundreds of lines, an order is cancelled, all stock moves, or
 * the schema changes.
 */
import { existsSync } from "node:fs";
import type { ApplicationReport } from "./demo-messages.ts";
import { OrderBook } from "./order-book.ts";
import { runReportingChild } from "./reporting-child.ts";

const CANCEL_EVERY = 7;
const BIG_ORDER_EVERY = 150;
const BIG_ORDER_LINES = 400;
const SHIFT_STOCK_EVERY = 400;
const CHANGE_SCHEMA_EVERY_MS = 4_000;
const MOST_CHANGES_OF_SCHEMA = 6;
const TICK_MS = 4;
/** So long may one step last before messages are looked at again. */
const STEP_BUDGET_MS = 50;

const [path = "", rateText = ""] = process.argv.slice(2);
const ordersPerSecond = Number(rateText);
const sources = { now: Date.now, random: Math.random };
const book = existsSync(path) ? OrderBook.open(path, sources) : OrderBook.create(path, sources);
const startedMs = performance.now();
const { orders: firstOrders, schemaChanges: firstChanges } = book;

runReportingChild({
  step: () => {
    const began = performance.now();
    const changes = book.schemaChanges - firstChanges;
    if (book.schemaChanges < MOST_CHANGES_OF_SCHEMA && began - startedMs > (changes + 1) * CHANGE_SCHEMA_EVERY_MS) {
      book.changeSchema();
    }
    while (book.orders - firstOrders < ((performance.now() - startedMs) / 1000) * ordersPerSecond) {
      placeNext();
      if (performance.now() - began > STEP_BUDGET_MS) return 0;
    }
    return TICK_MS;
  },
  report: ({ final }): ApplicationReport => ({ final, committed: book.committed, orders: book.orders }),
  close: () => book.close(),
});

function placeNext(): void {
  const number = book.orders + 1;
  book.placeOrder(number % BIG_ORDER_EVERY === 0 ? BIG_ORDER_LINES : 1 + (number % 5));
  if (number % CANCEL_EVERY === 0) book.cancelAnOrder();
  if (number % SHIFT_STOCK_EVERY === 0) book.shiftStock();
}
