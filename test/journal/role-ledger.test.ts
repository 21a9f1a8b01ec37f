import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { StateStore } from "../../src/journal/state-store.ts";
import { parsePosition } from "../../src/ltx/position.ts";
import type { Epoch } from "../../src/roles/epoch-history.ts";
import type { RoleState } from "../../src/roles/role-state.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const NAMES = { mirror: "clinic", member: "porto" };
const POSITION = parsePosition("1:000000000000002a:80000000000000aa");

function statePath(): string {
  return join(temporaryDirectory(), "state.db");
}

function second(): Epoch {
  if (POSITION === null) throw new Error("no position");
  return {
    epoch: 2,
    member: "porto",
    reason: "promotion",
    startedAt: "2026-01-01T00:00:00.000Z",
    starts: { orders: POSITION },
  };
}

test("every state of the role is there again after the state was opened anew", () => {
  const path = statePath();
  const { epoch, starts } = second();
  const offer = { id: "x", epoch, from: "lisbon", to: "porto", starts };
  const states: RoleState[] = [
    { role: "mirror", epoch: 1 },
    { role: "operational", epoch: 1 },
    { role: "offering", epoch: 1, offer },
    { role: "deposed", epoch: 1, by: 2 },
    { role: "claimed", epoch: 3 },
  ];
  for (const state of states) {
    using store = StateStore.open(path, NAMES);
    store.saveRole(state);
    using reader = StateStore.openReadOnly(path);
    expect(reader.role()).toEqual(state);
  }
});

test("an epoch begins in one step with the role, stays as it was first told, and is never forgotten for an older one", () => {
  const path = statePath();
  {
    using store = StateStore.open(path, NAMES);
    store.saveRole({ role: "claimed", epoch: 2 }, second());
    store.addEpochs([{ ...second(), member: "faro" }]);
    expect(thrownBy(() => store.saveRole({ role: "deposed", epoch: 1, by: 1 }))).toMatchObject({
      code: "STATE_EPOCH_BACK",
    });
  }
  using store = StateStore.openReadOnly(path);
  expect(store.history().epochs).toEqual([second()]);
  expect(store.role()).toEqual({ role: "claimed", epoch: 2 });
});

test("a state of a release without epochs keeps its role, and what cannot be a role is reported", () => {
  const path = statePath();
  StateStore.open(path, NAMES).close();
  const database = new Database(path);
  database.exec("DROP TABLE role_state; DROP TABLE epochs; INSERT INTO role VALUES (1, 'operational', 7)");
  {
    using store = StateStore.openReadOnly(path);
    expect(store.role()).toEqual({ role: "operational", epoch: 7 });
    expect(store.history().epochs).toEqual([]);
  }
  StateStore.open(path, NAMES).close();
  database.exec(`INSERT INTO role_state VALUES (1, '{"role":"king","epoch":1}')`);
  database.close();
  using store = StateStore.openReadOnly(path);
  expect(thrownBy(() => store.role())).toMatchObject({ code: "STATE_CORRUPT" });
});
