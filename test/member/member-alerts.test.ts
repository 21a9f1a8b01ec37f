import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { alertFacts } from "../../src/member/alert-facts.ts";
import type { Member } from "../../src/member/member.ts";
import { MemberAlerts } from "../../src/member/member-alerts.ts";
import { alertHistory, openAlerting } from "../support/alerting.ts";
import { fillFileSystem, mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MIB = 2 ** 20;
const SILENCE = { upstreamSilent: "1m" };

/** Alerts of porto, whose clock the test moves, and whose knowledge of its upstream it says. */
function watched(porto: Member) {
  const world = { clockMs: 0, ageSeconds: null as number | null };
  const facts = (unknownMs: (what: string) => number) => {
    const known = alertFacts(porto, unknownMs);
    return { ...known, status: { ...known.status, upstreamAgeSeconds: world.ageSeconds } };
  };
  const alerts = new MemberAlerts(porto.context, facts, () => world.clockMs);
  const look = (afterMs: number, ageSeconds: number | null) => {
    world.clockMs += afterMs;
    world.ageSeconds = ageSeconds;
    alerts.look();
    return alerts.view.map(({ code }) => code);
  };
  return { alerts, look };
}

test("what is not known any more is silence from then on, and not since the start", async () => {
  await using porto = await openAlerting(temporaryDirectory(), "porto", { alerts: SILENCE });
  const { look } = watched(porto);
  expect(look(0, null)).toEqual([]);
  expect(look(50_000, null)).toEqual([]);
  expect(look(9_000, 1)).toEqual([]);
  // As when the member between is started anew.
  expect(look(600_000, null)).toEqual([]);
  expect(look(59_000, null)).toEqual([]);
  expect(look(2_000, null)).toEqual(["UPSTREAM_SILENT"]);
  expect(look(60_000, 1)).toEqual(["UPSTREAM_SILENT"]);
  expect(look(60_000, 1)).toEqual([]);
  expect(alertHistory(porto)).toEqual(["RAISED UPSTREAM_SILENT", "CLEARED UPSTREAM_SILENT"]);
});

test("an alert that is raised is neither cleared nor raised again by a start at which nothing is known yet", async () => {
  await using porto = await openAlerting(temporaryDirectory(), "porto", { alerts: SILENCE });
  expect(watched(porto).look(0, 61)).toEqual(["UPSTREAM_SILENT"]);
  const again = watched(porto);
  expect(again.look(0, null)).toEqual(["UPSTREAM_SILENT"]);
  expect(again.look(30_000, null)).toEqual(["UPSTREAM_SILENT"]);
  expect(again.look(1_000, 70)).toEqual(["UPSTREAM_SILENT"]);
  expect(alertHistory(porto)).toEqual(["RAISED UPSTREAM_SILENT"]);
});

test("a state that takes no writes raises nothing and is not healthy, until it can", async () => {
  const root = temporaryDirectory();
  mkdirSync(join(root, "porto"));
  const small = mountSmallFileSystem(16 * MIB, join(root, "porto"));
  if (small === null) return;
  const porto = await openAlerting(root, "porto", { alerts: SILENCE });
  onTestFinished(() => porto.close());
  const { alerts, look } = watched(porto);
  look(0, 1);
  expect(alerts.isHealthy).toBe(true);
  fillFileSystem(join(small.path, "ballast"));
  expect(look(2_000, 61)).toEqual([]);
  expect(alerts.isHealthy).toBe(false);
  rmSync(join(small.path, "ballast"));
  expect(look(2_000, 61)).toEqual(["UPSTREAM_SILENT"]);
  expect(look(2_000, 1)).toEqual(["UPSTREAM_SILENT"]);
  expect(look(10_000, 1)).toEqual([]);
  expect(alerts.isHealthy).toBe(true);
  expect(alertHistory(porto)).toEqual(["RAISED UPSTREAM_SILENT", "CLEARED UPSTREAM_SILENT"]);
});
