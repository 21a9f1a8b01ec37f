import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { StateStore } from "../../src/journal/state-store.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { createSet, killDaemon, MIRROR, OPERATIONAL, PAIR, startAll, untilLevel } from "../support/mirror-set.ts";
import { afterimage } from "./afterimage.ts";

test("dry runs say what would be done, refuse what would be refused, and change nothing", async () => {
  const set = createSet(PAIR);
  const hook = join(set.root, "hook.sh");
  writeFileSync(hook, `#!/bin/sh\necho called >> ${join(set.root, "called")}\n`);
  chmodSync(hook, 0o755);
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  for (const member of [OPERATIONAL, MIRROR])
    configuration.members[member].hooks = { beforePromote: hook, beforeFence: hook };
  writeFileSync(set.configPath, stringify(configuration));
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  await untilLevel(set, countEntries);
  const run = async (node: string, ...args: string[]) => await afterimage([...args, "--node", node], { cwd: set.root });

  const fence = await run(OPERATIONAL, "fence", "--dry-run");
  expect([fence.code, fence.stdout]).toEqual([0, expect.stringContaining("shop: would be fenced: read-only")]);
  expect(fence.stdout).toMatch(/^lisbon +operational +operational +1$/m);
  const unfence = await run(OPERATIONAL, "unfence", "--dry-run", "--json");
  expect([unfence.code, JSON.parse(unfence.stdout)]).toMatchObject([
    0,
    { dryRun: true, databases: [{ database: "shop", fenced: false, changed: false }] },
  ]);
  expect(await run(MIRROR, "unfence", "--dry-run")).toMatchObject({ code: 3 });
  expect(await isFenced(set.databasePath(OPERATIONAL))).toBe(false);

  const demote = await run(OPERATIONAL, "demote", "--dry-run");
  expect([demote.code, demote.stdout]).toEqual([0, expect.stringContaining(`1. run the hook beforeFence: ${hook}`)]);
  expect(demote.stdout).toContain("porto has everything: it can be promoted without a loss");
  expect(await run(OPERATIONAL, "demote")).toMatchObject({ code: 3, stderr: expect.stringContaining("--yes") });
  expect(await run(MIRROR, "demote", "--dry-run")).toMatchObject({ code: 3 });

  const rebuild = await run(MIRROR, "rebuild", "shop", "--dry-run", "--method", "resync");
  expect([rebuild.code, rebuild.stdout]).toEqual([0, expect.stringContaining("shop: fetch the pages that differ")]);

  const alive = await run(MIRROR, "promote", "--dry-run");
  expect([alive.code, alive.stderr]).toEqual([3, expect.stringContaining("PROMOTION_ALIVE")]);
  const forced = await run(MIRROR, "promote", "--dry-run", "--force", OPERATIONAL, "--json");
  expect([forced.code, JSON.parse(forced.stdout)]).toMatchObject([
    0,
    { promoted: { dryRun: true, epoch: 3, from: OPERATIONAL, losses: [{ database: "shop", transactions: 0 }] } },
  ]);
  expect(await run(MIRROR, "pause")).toMatchObject({ code: 0 });
  const paused = await run(MIRROR, "promote", "--dry-run", "--force", OPERATIONAL);
  expect([paused.code, paused.stderr]).toEqual([3, expect.stringContaining("PROMOTION_INCOMPLETE")]);
  expect(await run(MIRROR, "resume")).toMatchObject({ code: 0 });

  const daemon = set.daemon(OPERATIONAL);
  if (daemon === null) throw new Error("no daemon");
  await killDaemon(daemon);
  const lost = await run(MIRROR, "promote", "--dry-run");
  expect([lost.code, lost.stdout]).toEqual([
    0,
    expect.stringMatching(/^ {2}\d\. begin epoch 3 where the databases end then$/m),
  ]);
  expect(lost.stdout).toContain(`1. ask the hook beforePromote: ${hook}`);
  expect(lost.stdout).toContain("lisbon cannot be reached: it may not be started where it cannot reach porto");
  for (const [member, role] of [
    [OPERATIONAL, "operational"],
    [MIRROR, "mirror"],
  ] as const) {
    using store = StateStore.openReadOnly(join(set.statePath(member), "state.db"));
    expect(store.role()).toEqual({ role, epoch: 1 });
  }
  expect(() => readFileSync(join(set.root, "called"))).toThrow("ENOENT");
}, 120_000);
