import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { OrderAudit } from "../../src/demo/order-audit.ts";
import { createSet, MIRROR, PAIR, startAll, stopAndCompare, untilLevel, untilSet } from "../support/mirror-set.ts";
import { lookAtOrders, startApplication, stopApplication } from "../support/orders.ts";

const HOLD_MS = 10_000;

test("a reader that holds a snapshot for 10 s neither blocks integration nor sees anything change", async () => {
  const set = createSet(PAIR);
  const application = await startApplication(set, 200);
  await startAll(set);
  const path = set.databasePath(MIRROR);
  const reader = new Database(path, { readonly: true });
  const everything = reader.prepare(
    "SELECT count(*), sum(total), max(id), (SELECT sum(stock) FROM product) FROM orders",
  );
  reader.exec("BEGIN");
  const first = everything.raw().get();
  const heldFrom = lookAtOrders(path).orders;
  const releaseAtMs = performance.now() + HOLD_MS;
  while (performance.now() < releaseAtMs) {
    expect(everything.get()).toEqual(first);
    await sleep(100);
  }
  expect(lookAtOrders(path).orders).toBeGreaterThan(heldFrom + 1_000);
  const heldWal = statSync(`${path}-wal`).size;
  reader.exec("COMMIT");
  expect(everything.get()).not.toEqual(first);
  await untilSet(set, "the mirror's WAL is cut back", () => statSync(`${path}-wal`).size < heldWal / 2);
  expect(new OrderAudit(reader).violations()).toEqual([]);
  reader.close();
  const { committed, orders } = await stopApplication(application);
  expect(await untilLevel(set, lookAtOrders)).toEqual({ commits: committed, orders });
  await stopAndCompare(set);
});
