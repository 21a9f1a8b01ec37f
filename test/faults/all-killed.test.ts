/**
 * All members die at once, and some of them come back, in any order: the last operational member serves again if it is among
 * them, and nobody else ever does; if it is not, the operator is told who it is and what could not be asked.
 */
import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { samePosition } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { afterimage } from "../cli/afterimage.ts";
import { countEntries, createEntries, EntryWriter, stopWriters } from "../support/entries.ts";
import { createSet, killDaemon, startAll } from "../support/mirror-set.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { WriteGuard } from "../support/write-guard.ts";

const NAMES = ["lisbon", "porto", "faro"] as const;
type Name = (typeof NAMES)[number];

const LIMIT_MS = 900_000;

/** Every way in which some of them are started one after the other. */
function orders(left: readonly Name[] = NAMES): Name[][] {
  return left.flatMap((first) => [[first], ...orders(left.filter((name) => name !== first)).map((o) => [first, ...o])]);
}

interface Scene {
  readonly set: DemoSet;
  /** All that was on lisbon's disk when everybody had died. */
  readonly kept: string;
  readonly signal: AbortSignal;
  readonly operational: Name;
  readonly epoch: number;
}

async function killAll(set: DemoSet): Promise<void> {
  const daemons = NAMES.map((name) => set.daemon(name)).filter((daemon) => daemon !== null);
  for (const daemon of daemons) daemon.kill("SIGKILL");
  await Promise.all(daemons.map((daemon) => daemon.exited));
}

/** Three members, two of which follow lisbon, die while somebody writes. */
async function allKilled({ promoted, signal }: { promoted: boolean; signal: AbortSignal }): Promise<Scene> {
  const set = createSet([
    { member: "lisbon", follows: null },
    { member: "porto", follows: "lisbon" },
    { member: "faro", follows: "lisbon" },
  ]);
  createEntries(set.databasePath("lisbon"));
  await startAll(set);
  const operational = promoted ? "porto" : "lisbon";
  if (promoted) {
    const daemon = set.daemon("lisbon");
    if (daemon !== null) await killDaemon(daemon);
    const args = ["promote", "--force", "lisbon", "--config", set.configPath, "--node", "porto"];
    expect(await afterimage(args, { cwd: set.root })).toMatchObject({ code: 0 });
  }
  const writers = ["ana", "bento"].map((name) =>
    EntryWriter.start("better-sqlite3", set.databasePath(operational), name, 5),
  );
  const arrived = () => (countEntries(set.databasePath("faro")).ana ?? 0) > 50 || null;
  await waitUntil(arrived, { what: "rows arrive at faro", stalledAfterMs: 60_000, signal });
  await killAll(set);
  await stopWriters(writers);
  const kept = join(temporaryDirectory(), "kept");
  cpSync(join(set.root, "lisbon"), kept, { recursive: true, preserveTimestamps: true });
  return { set, kept, signal, operational, epoch: promoted ? 4 : 1 };
}

/** Takes away the machines that do not come back. The former operational member knows as little as it did at first. */
function takeAway({ set, kept, operational }: Scene, missing: readonly Name[]): void {
  if (operational !== "lisbon") {
    rmSync(join(set.root, "lisbon"), { recursive: true });
    cpSync(kept, join(set.root, "lisbon"), { recursive: true, preserveTimestamps: true });
  }
  for (const name of missing) renameSync(join(set.root, name), join(set.root, `${name}.lost`));
}

async function restart(scene: Scene, order: readonly Name[]): Promise<void> {
  const { set, operational, epoch, signal } = scene;
  const missing = NAMES.filter((name) => !order.includes(name));
  takeAway(scene, missing);
  const knows = epoch === 1 || order.some((name) => name !== "lisbon");
  const whois = await afterimage(["whois-operational", "--config", set.configPath, "--json"], { cwd: set.root });
  expect(JSON.parse(whois.stdout)).toMatchObject({
    // What was shipped into lisbon's mailbox says that the epoch has begun, but not whose it is.
    operational: knows ? operational : null,
    epoch,
    notAsked: missing.map((member) => ({ member, reason: expect.stringContaining("is not on this machine") })),
  });

  const until = (what: string, condition: () => boolean) =>
    waitUntil(() => condition() || null, { what: `${order.join()}: ${what}`, stalledAfterMs: 60_000, signal });
  for (const name of order) {
    const before = set.status(name)?.run?.start ?? 0;
    set.startDaemon(name);
    await until(`${name} runs`, () => (set.status(name)?.run?.start ?? 0) > before);
  }
  const machines = order.map((name) => ({
    name,
    statePath: join(set.statePath(name), "state.db"),
    databasePath: set.databasePath(name),
  }));
  const unfenced = () => new WriteGuard(machines).unfenced();
  if (order.includes(operational)) {
    await until(`${operational} serves`, () => set.status(operational)?.state === "operational");
    await until("nobody else does", () => unfenced().join() === operational);
    const end = () => set.databaseStatus(operational)?.operational ?? null;
    for (const name of order.filter((each) => each !== operational && each !== "lisbon")) {
      await until(`${name} follows`, () => {
        const [position, at] = [end(), set.databaseStatus(name)?.integrated ?? null];
        return position !== null && at !== null && samePosition(position, at);
      });
    }
  } else {
    await until("nobody serves", () => unfenced().length === 0);
    expect(order.map((name) => set.status(name)?.state)).not.toContain("operational");
  }
  await killAll(set);
  for (const name of missing) renameSync(join(set.root, `${name}.lost`), join(set.root, name));
}

test.each([false, true])(
  "whoever comes back of three that died at once, nobody serves but the last operational member (promoted before: %s)",
  {
    timeout: LIMIT_MS,
  },
  async (promoted) => {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const scene = await allKilled({ promoted, signal });
    const all = orders();
    for (const order of all) await restart(scene, order);
    expect(all.length).toBe(15);
    console.log(`${all.length} ways to come back, promoted before: ${promoted}`);
  },
);
