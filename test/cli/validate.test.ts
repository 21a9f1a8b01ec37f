import { expect, test } from "vitest";
import { countEntries, createEntries } from "../support/entries.ts";
import { createSet, killDaemon, MIRROR, OPERATIONAL, PAIR, startAll, untilLevel } from "../support/mirror-set.ts";
import { afterimage } from "./afterimage.ts";

test("says from any member whether a mirror is ready, and why not; ends with 3 when it is not", async () => {
  const set = createSet(PAIR);
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  await untilLevel(set, countEntries);
  const cwd = set.root;
  const validate = async (node: string, ...more: string[]) =>
    await afterimage(["validate", MIRROR, "--node", node, ...more], { cwd });

  for (const node of [OPERATIONAL, MIRROR]) {
    const { code, stdout } = await validate(node);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Ready for switchover: Yes$/m)]);
    expect(stdout).toMatch(/^Ready for promotion: Yes \(operational running\)$/m);
    expect(stdout).toMatch(/^ {2}OK {4}mailbox of porto: lisbon ships to it$/m);
    expect(stdout).toMatch(/0 transactions of 0 s; received last 1:/);
  }
  const operational = JSON.parse((await validate(OPERATIONAL, "--json")).stdout);
  expect(operational).toMatchObject({
    member: MIRROR,
    operational: OPERATIONAL,
    ready: true,
    switchover: { ready: true, checks: expect.arrayContaining([expect.objectContaining({ check: "clock of porto" })]) },
    promotion: { ready: "operational running", losses: [{ transactions: 0, ahead: [] }] },
  });
  expect(await afterimage(["validate", OPERATIONAL, "--node", MIRROR], { cwd })).toMatchObject({ code: 3 });
  expect(await afterimage(["validate", "nobody", "--node", MIRROR], { cwd })).toMatchObject({ code: 2 });

  expect(await afterimage(["pause", "--node", MIRROR], { cwd })).toMatchObject({ code: 0 });
  const paused = await validate(MIRROR);
  expect([paused.code, paused.stdout]).toEqual([3, expect.stringMatching(/FAIL {2}database .*paused/)]);
  expect(await afterimage(["resume", "--node", MIRROR], { cwd })).toMatchObject({ code: 0 });

  const daemon = set.daemon(OPERATIONAL);
  if (daemon === null) throw new Error("no daemon");
  await killDaemon(daemon);
  const lost = await validate(MIRROR);
  expect([lost.code, lost.stdout]).toEqual([0, expect.stringMatching(/^Ready for switchover: No$/m)]);
  expect(lost.stdout).toMatch(/^Ready for promotion: Yes$/m);
}, 120_000);
