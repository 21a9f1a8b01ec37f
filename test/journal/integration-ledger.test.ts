import { join } from "node:path";
import { expect, test } from "vitest";
import { StateStore } from "../../src/journal/state-store.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const NAMES = { mirror: "clinic", member: "porto" };
const NOTHING = { paused: false, until: null };
const PAUSED = { paused: true, until: null };

test("orders and the window outlive the process; a database without an order of its own has that for all", () => {
  const path = join(temporaryDirectory(), "state.db");
  {
    using store = StateStore.open(path, NAMES);
    expect(store.integration.order("lab")).toEqual(NOTHING);
    expect(store.integration.window()).toBeNull();
    store.integration.save("lab", { paused: false, until: "000000000000002a" });
    store.integration.saveForAll(PAUSED);
    store.integration.save("patients", NOTHING);
    store.integration.saveWindow({ schedule: "0 6 * * * UTC", lastMs: null, nextMs: 7 });
  }
  using store = StateStore.open(path, NAMES);
  expect(["lab", "patients", "later"].map((name) => store.integration.order(name))).toEqual([PAUSED, NOTHING, PAUSED]);
  expect(store.integration.window()).toEqual({ schedule: "0 6 * * * UTC", lastMs: null, nextMs: 7 });
  store.integration.saveForAll(NOTHING);
  expect(store.integration.order("later")).toEqual(NOTHING);
});
