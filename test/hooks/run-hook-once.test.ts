import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runHookOnce } from "../../src/hooks/run-hook-once.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { documentOf, optionsOf, program } from "./hook-program.ts";

const NAMES = { mirror: "clinic", member: "porto" };
const COUNTING = 'echo x >> "$dir/runs"';

function runsIn(directory: string): number {
  const path = join(directory, "runs");
  return existsSync(path) ? readFileSync(path, "utf8").length / 2 : 0;
}

test("what ended well is not run again for its role and epoch, also by a later process", async () => {
  const { path, directory } = program(COUNTING);
  const options = optionsOf({ roleChanged: path });
  const document = documentOf("roleChanged");
  const state = join(temporaryDirectory(), "state.db");
  {
    using store = StateStore.open(state, NAMES);
    expect(await runHookOnce(store.hooks, document, options)).toEqual({ kind: "done" });
  }
  using store = StateStore.open(state, NAMES);
  expect(await runHookOnce(store.hooks, document, options)).toEqual({ kind: "done before" });
  expect(runsIn(directory)).toBe(1);
  const demoted = { ...document, role: { old: "operational", new: "mirror" } } as const;
  expect(await runHookOnce(store.hooks, demoted, options)).toEqual({ kind: "done" });
  expect(await runHookOnce(store.hooks, { ...document, epoch: { old: 3, new: 5 } }, options)).toEqual({ kind: "done" });
  expect(runsIn(directory)).toBe(3);
});

test("what failed is run again", async () => {
  const { path, directory } = program(COUNTING);
  using store = StateStore.open(join(temporaryDirectory(), "state.db"), NAMES);
  const options = optionsOf({ afterPromote: program("exit 1").path });
  await expect(runHookOnce(store.hooks, documentOf("afterPromote"), options)).rejects.toMatchObject({
    code: "HOOK_FAILED",
  });
  const corrected = optionsOf({ afterPromote: path });
  expect(await runHookOnce(store.hooks, documentOf("afterPromote"), corrected)).toEqual({ kind: "done" });
  expect(runsIn(directory)).toBe(1);
});

test("an event whose program is configured later is told then", async () => {
  const { path } = program("exit 0");
  using store = StateStore.open(join(temporaryDirectory(), "state.db"), NAMES);
  expect(await runHookOnce(store.hooks, documentOf("diverged"), optionsOf({}))).toEqual({ kind: "absent" });
  const options = optionsOf({ diverged: path });
  expect(await runHookOnce(store.hooks, documentOf("diverged"), options)).toEqual({ kind: "done" });
  rmSync(path);
  expect(await runHookOnce(store.hooks, documentOf("diverged"), options)).toEqual({ kind: "done before" });
});
