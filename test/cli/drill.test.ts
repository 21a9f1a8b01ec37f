import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { countEntries, createEntries } from "../support/entries.ts";
import { readEvents } from "../support/events.ts";
import { createSet, MIRROR, OPERATIONAL, PAIR, startAll, untilLevel, untilSet } from "../support/mirror-set.ts";
import { afterimage } from "./afterimage.ts";

test("a drill prints its steps, how long each took, and what a promotion would lose; schedules run it as well", async () => {
  const set = createSet(PAIR);
  createEntries(set.databasePath(OPERATIONAL));
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  configuration.members[MIRROR].drill = { schedule: "*/2 * * * * *" };
  writeFileSync(set.configPath, stringify(configuration));
  await startAll(set);
  await untilLevel(set, countEntries);
  await untilSet(set, "two drills by schedule", () => passed() >= 2);
  delete configuration.members[MIRROR].drill;
  writeFileSync(set.configPath, stringify(configuration));
  expect(await afterimage(["reload", "--node", MIRROR], { cwd: set.root })).toMatchObject({ code: 0 });

  const before = passed();
  const planned = await afterimage(["drill", "--dry-run", "--node", MIRROR], { cwd: set.root });
  expect([planned.code, planned.stdout]).toEqual([
    0,
    expect.stringMatching(/^ {2}1\. copy shop into .*drill-porto, /m),
  ]);
  expect(passed()).toBe(before);
  const { code, stdout } = await afterimage(["drill", "--node", MIRROR], { cwd: set.root });
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^shop: the copy is promoted, checked and written to$/m)]);
  expect(stdout).toMatch(/^drill passed: porto could be promoted; its copies were, in \d+\.\d s$/m);
  expect(stdout).toMatch(/^shop: at 1:[0-9a-f]{16} of .* bytes, integrity_check$/m);
  expect(stdout).toMatch(/^ {2}shop: 0 transactions/m);
  expect(passed()).toBe(before + 1);

  const script = join(set.root, "absent");
  const failed = await afterimage(["drill", "--node", MIRROR, "--script", script, "--json"], { cwd: set.root });
  expect([failed.code, JSON.parse(failed.stdout)]).toMatchObject([
    1,
    { ok: false, script: { path: script, error: { code: "DRILL_SCRIPT" } }, kept: null },
  ]);
  expect(await afterimage(["drill", "--node", OPERATIONAL], { cwd: set.root })).toMatchObject({ code: 3 });
  expect(readdirSync(set.statePath(MIRROR)).filter((name) => name.startsWith("drill"))).toEqual([]);
  expect(await set.stopDaemons()).toEqual([]);

  function passed(): number {
    return readEvents(set, MIRROR).filter((event) => event.code === "DRILL_PASSED").length;
  }
}, 120_000);
