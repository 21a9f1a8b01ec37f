/**
 * Fifty switchovers there and back between three members of a set with two mirrors and a mirror-mirror, while writers go to
 * whoever accepts their commits. AFTERIMAGE_ROUNDS sets another number.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { z } from "zod";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { DemoMember } from "../../src/demo/demo-set.ts";
import { afterimage } from "../cli/afterimage.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { readEvents } from "../support/events.ts";
import { createSet, MIRROR, OPERATIONAL, startAll, untilSet } from "../support/mirror-set.ts";
import { RoamingWriters } from "../support/roaming-writers.ts";

const ROUNDS = Number(process.env.AFTERIMAGE_ROUNDS ?? 50);
const LIMIT_MS = 480_000;
const PAUSE_MS = 5;
/** For so long the writers write between two switchovers, at most. */
const LONGEST_REIGN_MS = 1_000;

const FOUR: readonly DemoMember[] = [
  { member: OPERATIONAL, follows: null },
  { member: MIRROR, follows: OPERATIONAL },
  { member: "faro", follows: OPERATIONAL },
  { member: "braga", follows: MIRROR },
];

/** The role goes from each to the next: to a mirror and back, to the mirror-mirror and back. */
const WAY = [OPERATIONAL, MIRROR, OPERATIONAL, "faro", OPERATIONAL, "braga"] as const;

const resultSchema = z.object({ switchover: z.object({ interruptedMs: z.number() }) });

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

test(`${ROUNDS} switchovers under writers lose no commit, and copy nothing`, { timeout: LIMIT_MS }, async ({
  signal,
}) => {
  const set = createSet(FOUR);
  const paths = FOUR.map(({ member }) => set.databasePath(member));
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  const writers = new RoamingWriters(set.root, ["ana", "bento"], paths, PAUSE_MS);
  const measured: number[] = [];
  for (let round = 0; round < ROUNDS && !signal.aborted; round++) {
    const [from = "", to = ""] = [WAY[round % WAY.length], WAY[(round + 1) % WAY.length]];
    await untilSet(set, `${to} follows ${from}`, () => {
      const [old, next] = [set.status(from), set.status(to)];
      return old?.state === "operational" && next?.role === "mirror" && next.epoch === old.epoch;
    });
    await sleep(Math.random() * LONGEST_REIGN_MS);
    const { code, stdout, stderr } = await afterimage(["switchover", "--to", to, "--node", from, "--json"], {
      cwd: set.root,
    });
    expect({ round, code, stderr, answer: code === 0 ? "" : stdout }).toEqual({
      round,
      code: 0,
      stderr: "",
      answer: "",
    });
    measured.push(resultSchema.parse(JSON.parse(stdout)).switchover.interruptedMs);
  }
  const { counts, interruptionsMs } = await writers.stop();
  for (const path of paths)
    await untilSet(
      set,
      `${path} has every commit`,
      () => JSON.stringify(countEntries(path)) === JSON.stringify(counts),
    );
  const failed = await set.stopDaemons();
  expect(failed.map((daemon) => `${daemon.name}: ${daemon.logTail()}`)).toEqual([]);
  for (const path of paths) settleDatabase(path);
  for (const path of paths) expect(compareDatabases(paths[0] ?? "", path)).toMatchObject({ identical: true });
  const codes = FOUR.flatMap(({ member }) => readEvents(set, member).map(({ code }) => code));
  for (const copied of ["RESYNC", "DEPOSED", "DIVERGED", "MIRROR_INCONSISTENT"]) expect(codes).not.toContain(copied);
  expect(codes.filter((code) => code === "MIRROR_CREATED")).toHaveLength(FOUR.length - 1);
  console.log(
    `${measured.length} switchovers, ${JSON.stringify(counts)} commits; writers were interrupted for ${median(interruptionsMs)} ms (median), ` +
      `${Math.max(...interruptionsMs)} ms (worst), of which the hand-over took ${median(measured)} ms (median), ${Math.max(...measured)} ms (worst)`,
  );
});
