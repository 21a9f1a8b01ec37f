/**
 * A promotion that is interrupted by `kill -9` at each of its steps, on either side: of the mirror that is promoted, or of the
 * one from which it gets what it has not received. Run again, it ends done, with one operational member and nothing lost.
 */
import { renameSync, rmSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { RUNBOOK_STEPS } from "../../src/member/runbook-steps.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { afterimage } from "../cli/afterimage.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { createSet, expectPageEqual, MIRROR, OPERATIONAL, roleOf } from "../support/mirror-set.ts";
import { InstructedDaemons } from "./instructed-daemons.ts";

const LIMIT_MS = 900_000;
/** A promotion waits most of the time, for signs of life. */
const SIDE_BY_SIDE = 3;
const OTHER = "faro";
const MEMBERS: readonly DemoMember[] = [
  { member: OPERATIONAL, follows: null },
  { member: MIRROR, follows: OPERATIONAL },
  { member: OTHER, follows: OPERATIONAL },
];
const STEPS = RUNBOOK_STEPS.filter((step) => step.startsWith("promote:"));
const CASES = STEPS.flatMap((step) => [MIRROR, OTHER].map((victim) => ({ step, victim })));

test(`a promotion that is killed at ${CASES.length} points is done in the end`, { timeout: LIMIT_MS }, async ({
  signal,
}) => {
  const roles: Record<string, number> = {};
  const left = [...CASES];
  const work = async () => {
    for (let next = left.shift(); next !== undefined && !signal.aborted; next = left.shift()) {
      const role = await promoteAndKill(next);
      roles[role] = (roles[role] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  console.log(
    `(promote, step, side): ${STEPS.length} steps, killed on both sides: ${CASES.length} cases; the role then: ${JSON.stringify(roles)}`,
  );
  expect(roles).toMatchObject({ mirror: expect.any(Number), claimed: expect.any(Number) });
});

/** Returns the role that the mirror had when the victim died. */
async function promoteAndKill({ step, victim }: (typeof CASES)[number]): Promise<string> {
  const set = createSet(MEMBERS);
  const daemons = new InstructedDaemons(set);
  await loseAhead(set, daemons);
  daemons.instruct(step, victim);
  const promotion = promote(set);
  await until(set, `${victim} dies at ${step}`, () => !daemons.isRunning(victim));
  const role = roleOf(set, MIRROR);
  await promotion;
  await serve(set, daemons, victim);
  if (roleOf(set, MIRROR) === "mirror") expect(await promote(set)).toMatchObject({ code: 0 });
  await until(set, `${MIRROR} is operational`, () => set.status(MIRROR)?.state === "operational");
  set.takeOver(MIRROR);
  addEntries(set.databasePath(MIRROR), "after", 10);
  const rows = { after: 10, before: 50 };
  expect(countEntries(set.databasePath(MIRROR))).toEqual(rows);
  await until(set, `${OTHER} follows`, () => set.isCaughtUp(OTHER) && same(set, OTHER, rows));

  daemons.start(OPERATIONAL);
  await until(set, "the former one is fenced", () => set.status(OPERATIONAL)?.state === "fenced");
  expect(await isFenced(set.databasePath(OPERATIONAL))).toBe(true);
  const rejoined = await afterimage(["rejoin", "--yes", "--node", OPERATIONAL], { cwd: set.root });
  expect(rejoined).toMatchObject({ code: 0 });
  await until(set, `${OPERATIONAL} follows`, () => set.isCaughtUp(OPERATIONAL));
  expect(await daemons.stop()).toEqual([]);
  expectPageEqual(set);
  return role;
}

/** The operational member dies when the other mirror has received 20 transactions more than the one that will be promoted. */
async function loseAhead(set: DemoSet, daemons: InstructedDaemons): Promise<void> {
  createEntries(set.databasePath(OPERATIONAL));
  addEntries(set.databasePath(OPERATIONAL), "before", 30);
  for (const { member } of MEMBERS) daemons.start(member);
  for (const member of [MIRROR, OTHER]) await until(set, `${member} is level`, () => same(set, member, { before: 30 }));
  await daemons.stopOne(MIRROR);
  const [mailbox, away] = [set.mailboxPath(MIRROR), `${set.mailboxPath(MIRROR)}-away`];
  renameSync(mailbox, away);
  addEntries(set.databasePath(OPERATIONAL), "before", 20, 31);
  await until(set, `${OTHER} is ahead`, () => same(set, OTHER, { before: 50 }) && set.isCaughtUp(OTHER));
  await daemons.kill(OPERATIONAL);
  rmSync(mailbox, { recursive: true, force: true });
  renameSync(away, mailbox);
  await serve(set, daemons, MIRROR);
}

/** Starts a daemon. A command before it serves would do the work itself, and keep it out. */
async function serve(set: DemoSet, daemons: InstructedDaemons, member: string): Promise<void> {
  const before = set.status(member)?.heartbeat ?? "";
  daemons.start(member);
  await until(set, `${member} serves`, () => {
    const status = set.status(member);
    return status?.reachable === true && (status.heartbeat ?? "") > before;
  });
}

async function promote(set: DemoSet): Promise<unknown> {
  return await afterimage(["promote", "--node", MIRROR], { cwd: set.root });
}

function same(set: DemoSet, member: string, rows: object): boolean {
  try {
    return JSON.stringify(countEntries(set.databasePath(member))) === JSON.stringify(rows);
  } catch {
    return false;
  }
}

/** Daemons are killed here, which is no fault. */
async function until(set: DemoSet, what: string, condition: () => boolean): Promise<void> {
  const progress = () => JSON.stringify(MEMBERS.map(({ member }) => set.databaseStatus(member)?.received));
  await waitUntil(() => condition() || null, { what, stalledAfterMs: 60_000, progress });
}

function addEntries(path: string, writer: string, count: number, first = 1): void {
  const database = new Database(path, { timeout: 5_000 });
  const insert = database.prepare("INSERT INTO entry VALUES (?, ?, randomblob(500))");
  for (let number = first; number < first + count; number++) insert.run(writer, number);
  database.close();
}
