import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { afterimage } from "../cli/afterimage.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { createSet, killDaemon, MIRROR, OPERATIONAL, PAIR, startAll, untilLevel } from "../support/mirror-set.ts";

const ROUNDS = 8;
const LIMIT_MS = 900_000;
const LONGEST_MS = 1_500;

test(`a member that is killed while it is promoted is promoted in the end, in ${ROUNDS} rounds`, {
  timeout: LIMIT_MS,
}, async ({ signal }) => {
  const killedAs = new Map<string, number>();
  for (let round = 0; round < ROUNDS && !signal.aborted; round++) {
    const role = await promoteAndKill(createSet(PAIR), { atClaim: round % 2 === 0, signal });
    killedAs.set(role, (killedAs.get(role) ?? 0) + 1);
  }
  console.log(
    `${ROUNDS} kills during a promotion, by the role at that moment: ${JSON.stringify(Object.fromEntries(killedAs))}`,
  );
  expect(killedAs.get("claimed") ?? 0).toBeGreaterThan(0);
});

/** Returns the role that the member had when it was killed. */
async function promoteAndKill(set: DemoSet, options: { atClaim: boolean; signal: AbortSignal }): Promise<string> {
  createEntries(set.databasePath(OPERATIONAL));
  addEntries(set.databasePath(OPERATIONAL), "before", 30);
  await startAll(set);
  await untilLevel(set, countEntries);
  const [former, mirror] = [set.daemon(OPERATIONAL), set.daemon(MIRROR)];
  if (former === null || mirror === null) throw new Error("a daemon is missing");
  await killDaemon(former);
  const promotion = promote(set);
  const killAtMs = performance.now() + (options.atClaim ? LONGEST_MS * 10 : Math.random() * LONGEST_MS);
  while (performance.now() < killAtMs && roleOf(set) === "mirror" && !options.signal.aborted) await sleep(1);
  await killDaemon(mirror);
  const role = roleOf(set);
  await promotion;
  const heartbeat = set.status(MIRROR)?.heartbeat ?? "";

  set.startDaemon(MIRROR);
  // A command that has not reached the daemon before it died does all of it by itself.
  if (roleOf(set) === "mirror") {
    await untilTrue(set, "the daemon runs", () => (set.status(MIRROR)?.heartbeat ?? "") > heartbeat);
    expect(await promote(set)).toMatchObject({ code: 0 });
  }
  await untilTrue(
    set,
    "the mirror is operational",
    () => set.status(MIRROR)?.state === "operational" && roleOf(set) === "operational",
  );
  addEntries(set.databasePath(MIRROR), "after", 10);
  const before = set.databaseStatus(MIRROR)?.operational?.txid ?? "";
  await untilTrue(
    set,
    "the new epoch has segments",
    () =>
      (set.databaseStatus(MIRROR)?.operational?.txid ?? "") >= before &&
      set.databaseStatus(MIRROR)?.operational?.epoch === 3,
  );
  expect(countEntries(set.databasePath(MIRROR))).toEqual({ before: 30, after: 10 });

  set.startDaemon(OPERATIONAL);
  await untilTrue(set, "the former one is fenced", () => set.status(OPERATIONAL)?.state === "fenced");
  expect(await isFenced(set.databasePath(OPERATIONAL))).toBe(true);
  const verified = await afterimage(["verify", "--node", MIRROR], { cwd: set.root });
  expect(verified).toMatchObject({ code: 0 });
  await set.stopDaemons();
  return role;
}

async function promote(set: DemoSet): Promise<unknown> {
  return await afterimage(["promote", "--force", OPERATIONAL, "--node", MIRROR], { cwd: set.root });
}

function roleOf(set: DemoSet): string {
  using store = StateStore.openReadOnly(join(set.statePath(MIRROR), "state.db"));
  return store.role()?.role ?? "none";
}

/** The former operational member's daemon was killed, which is no fault here. */
async function untilTrue(set: DemoSet, what: string, condition: () => boolean): Promise<void> {
  const progress = () => JSON.stringify([set.status(MIRROR)?.state, set.databaseStatus(MIRROR)?.operational]);
  await waitUntil(() => condition() || null, { what, stalledAfterMs: 60_000, progress });
}

function addEntries(path: string, writer: string, count: number): void {
  const database = new Database(path, { timeout: 5_000 });
  const insert = database.prepare("INSERT INTO entry VALUES (?, ?, randomblob(500))");
  for (let number = 1; number <= count; number++) insert.run(writer, number);
  database.close();
}
