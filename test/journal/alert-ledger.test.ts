import { join } from "node:path";
import { expect, test } from "vitest";
import { StateStore } from "../../src/journal/state-store.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const NAMES = { mirror: "clinic", member: "porto" };

function numbered(i: number) {
  return { id: `n${i}`, document: `document ${i}`, atMs: i };
}

test("a queue keeps the newest, in order, each once, and over restarts", () => {
  const path = join(temporaryDirectory(), "state.db");
  {
    using store = StateStore.open(path, NAMES);
    store.transaction(() => {
      for (let i = 0; i < 10; i++) store.alerts.enqueue("mail", numbered(i), 4);
      store.alerts.enqueue("mail", numbered(7), 4);
      store.alerts.enqueue("webhook", numbered(1), 4);
    });
  }
  using store = StateStore.open(path, NAMES);
  const taken: string[] = [];
  for (let first = store.alerts.first("mail"); first !== null; first = store.alerts.first("mail")) {
    taken.push(`${first.document} ${first.atMs}`);
    store.alerts.remove(first.number);
  }
  expect(taken).toEqual([6, 7, 8, 9].map((i) => `document ${i} ${i}`));
  expect(store.alerts.first("webhook")).toMatchObject({ document: "document 1" });
  expect(store.alerts.first("hook")).toBeNull();
});

test("alerts that are raised are kept until they are cleared", () => {
  using store = StateStore.open(join(temporaryDirectory(), "state.db"), NAMES);
  store.alerts.save("b", "two");
  store.alerts.save("a", "one");
  expect(store.alerts.raised()).toEqual(["one", "two"]);
  store.alerts.delete("a");
  expect(store.alerts.raised()).toEqual(["two"]);
});
