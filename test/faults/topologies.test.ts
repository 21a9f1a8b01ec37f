/**
 * A chain of five members and a hub with ten spokes, whose mirrors are killed at random while applications write; in the
 * chain one of them is lost for a while and bypassed. AFTERIMAGE_KILLS sets the number of kills of each.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { afterimage } from "../cli/afterimage.ts";
import { countEntries, createEntries, EntryWriter, stopWriters } from "../support/entries.ts";
import { readEvents } from "../support/events.ts";
import { createSet, killDaemon, OPERATIONAL, startAll, stopAndCompare, untilLevel } from "../support/mirror-set.ts";

const KILLS = Number(process.env.AFTERIMAGE_KILLS ?? 30);
const WRITERS = ["ana", "bento"];
const PAUSE_MS = 20;
const LONGEST_LIFE_MS = 800;

const FIVE: readonly DemoMember[] = [
  { member: OPERATIONAL, follows: null },
  { member: "porto", follows: OPERATIONAL },
  { member: "faro", follows: "porto" },
  { member: "braga", follows: "faro" },
  { member: "evora", follows: "braga" },
];

const TEN: readonly DemoMember[] = [
  { member: OPERATIONAL, follows: null },
  ...["aveiro", "beja", "braga", "coimbra", "evora", "faro", "leiria", "porto", "setubal", "viseu"].map((member) => ({
    member,
    follows: OPERATIONAL,
  })),
];

function startWriters(set: DemoSet): EntryWriter[] {
  const path = set.databasePath(OPERATIONAL);
  return WRITERS.map((name) => EntryWriter.start("better-sqlite3", path, name, PAUSE_MS));
}

/** Kills a mirror at random and starts it again, over and over; `spared` is left alone. */
async function killMirrors(
  set: DemoSet,
  kills: number,
  signal: AbortSignal,
  spared: string | null = null,
): Promise<void> {
  const names = set.mirrors.map(({ member }) => member).filter((member) => member !== spared);
  for (let kill = 0; kill < kills && !signal.aborted; kill++) {
    await sleep(Math.random() * LONGEST_LIFE_MS);
    const member = names[Math.floor(Math.random() * names.length)] ?? "";
    const daemon = set.daemon(member);
    if (daemon === null) throw new Error(`${member} was never started`);
    await killDaemon(daemon);
    set.startDaemon(member);
  }
}

/** Changes whom a member follows, in the file and in the daemons concerned, which may be just starting. */
async function follow(set: DemoSet, member: string, upstream: string): Promise<void> {
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  configuration.members[member].follows = upstream;
  writeFileSync(set.configPath, stringify(configuration));
  for (const concerned of [member, upstream]) {
    const args = ["reload", "--config", set.configPath, "--node", concerned];
    await waitUntil(async () => (await afterimage(args, { cwd: set.root })).code === 0, {
      what: `${concerned} reads its configuration again`,
      stalledAfterMs: 60_000,
    });
  }
}

function snapshotsTaken(set: DemoSet, member: string): number {
  return readEvents(set, member).filter(({ code }) => code === "MIRROR_CREATED").length;
}

test("a chain of five whose members are killed, and one of them bypassed, ends page-equal", async ({ signal }) => {
  const set = createSet(FIVE);
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  const writers = startWriters(set);
  await killMirrors(set, KILLS / 2, signal);

  const lost = set.daemon("faro");
  if (lost === null) throw new Error("no daemon");
  await killDaemon(lost);
  await follow(set, "braga", "porto");
  const rowsThen = countEntries(set.databasePath(OPERATIONAL)).ana ?? 0;
  await waitUntil(() => (countEntries(set.databasePath("evora")).ana ?? 0) > rowsThen, {
    what: "the end of the chain goes on without the member that is lost",
    stalledAfterMs: 120_000,
  });
  await killMirrors(set, KILLS / 2, signal, "faro");
  set.startDaemon("faro");

  const rows = await stopWriters(writers);
  expect(await untilLevel(set, countEntries)).toEqual(rows);
  expect(set.mirrors.map(({ member }) => [member, snapshotsTaken(set, member)])).toEqual(
    set.mirrors.map(({ member }) => [member, 1]),
  );
  await stopAndCompare(set);
  console.log(`${KILLS} kills in a chain of ${FIVE.length}: ${JSON.stringify(rows)} rows on every member`);
});

test("a hub with ten spokes that are killed ends page-equal", async ({ signal }) => {
  const set = createSet(TEN);
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  const writers = startWriters(set);
  await killMirrors(set, KILLS, signal);
  const rows = await stopWriters(writers);
  expect(await untilLevel(set, countEntries)).toEqual(rows);
  await stopAndCompare(set);
  console.log(`${KILLS} kills of ${TEN.length - 1} spokes: ${JSON.stringify(rows)} rows on every member`);
});
