/** Mirror sets of real daemons for integration tests: started, watched, compared and cleaned up. */
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { compareDatabases, integrityCheck, settleDatabase } from "../../src/demo/compare-databases.ts";
import { type DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import type { ManagedProcess } from "../../src/demo/managed-process.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

export const OPERATIONAL = "lisbon";
export const MIRROR = "porto";

export const PAIR: readonly DemoMember[] = [
  { member: OPERATIONAL, follows: null },
  { member: MIRROR, follows: OPERATIONAL },
];

export const CHAIN: readonly DemoMember[] = [...PAIR, { member: "faro", follows: MIRROR }];

const STALLED_AFTER_MS = 60_000;

/** Makes a set in a temporary directory; its daemons are killed at the end of the test if they still run then. */
export function createSet(
  members: readonly DemoMember[],
  journal?: Readonly<Record<string, string | number>>,
  databases?: readonly string[],
): DemoSet {
  const root = temporaryDirectory();
  const set = new DemoSet({
    ...{ root, members },
    ...(journal === undefined ? {} : { journal }),
    ...(databases === undefined ? {} : { databases }),
  });
  onTestFinished(async () => {
    const daemons = members.map(({ member }) => set.daemon(member)).filter((daemon) => daemon !== null);
    for (const daemon of daemons) daemon.kill("SIGKILL");
    await Promise.all(daemons.map((daemon) => daemon.exited));
  });
  return set;
}

/** Waits for a condition of the set; fails with a daemon's last words when one has ended. */
export async function untilSet<T>(
  set: DemoSet,
  what: string,
  condition: () => T | null | false | Promise<T | null | false>,
): Promise<T> {
  const check = () => {
    const [fallen] = set.fallenDaemons();
    if (fallen !== undefined) throw new Error(`${fallen.name} ended: ${fallen.logTail()}`);
    return condition();
  };
  return waitUntil(check, { what, stalledAfterMs: STALLED_AFTER_MS, progress: () => set.progress() });
}

/** Starts every daemon and waits until every mirror can be read. */
export async function startAll(set: DemoSet): Promise<void> {
  for (const { member } of set.members) set.startDaemon(member);
  for (const { member } of set.mirrors) await untilReadable(set, member);
}

export async function untilReadable(set: DemoSet, mirror: string): Promise<void> {
  await untilSet(set, `${mirror} has a snapshot`, () => (set.databaseStatus(mirror)?.integrated ?? null) !== null);
}

/** Kills the member's daemon with SIGKILL and waits until it is gone. */
export async function killDaemon(daemon: ManagedProcess): Promise<void> {
  daemon.kill("SIGKILL");
  await daemon.exited;
}

/** The role in a member's state, whether its daemon runs or not. */
export function roleOf(set: DemoSet, member: string): string {
  using store = StateStore.openReadOnly(join(set.statePath(member), "state.db"));
  return store.role()?.role ?? "none";
}

/** Waits until every mirror shows the same as the operational database, by `look`, and says that it is at its end. */
export async function untilLevel<T>(set: DemoSet, look: (path: string) => T): Promise<T> {
  const expected = look(set.databasePath(set.operational));
  const wanted = JSON.stringify(expected);
  for (const { member } of set.mirrors) {
    await untilSet(
      set,
      `${member} shows the operational state`,
      () => JSON.stringify(look(set.databasePath(member))) === wanted,
    );
    await untilSet(set, `${member} is at the end of the journal`, () => set.isCaughtUp(member));
  }
  return expected;
}

/** Stops the daemons, which must end well, and compares every mirror with the operational database page by page. */
export async function stopAndCompare(set: DemoSet): Promise<void> {
  const failed = await set.stopDaemons();
  expect(failed.map((daemon) => `${daemon.name}: ${daemon.logTail()}`)).toEqual([]);
  expectPageEqual(set);
}

/** Compares every mirror with the operational database page by page; nothing may have the databases open. */
export function expectPageEqual(set: DemoSet): void {
  const operational = set.databasePath(set.operational);
  settleDatabase(operational);
  for (const { member } of set.mirrors) {
    const mirror = set.databasePath(member);
    settleDatabase(mirror);
    expect({ member, ...compareDatabases(operational, mirror) }).toMatchObject({ member, identical: true });
    expect([member, integrityCheck(mirror)]).toEqual([member, "ok"]);
  }
}
