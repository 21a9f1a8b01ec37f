import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import type { DivergenceReport, NamedValue } from "../../src/divergence/divergence-report.ts";
import { PROGRAM } from "../cli/afterimage.ts";
import {
  BEHIND,
  createTables,
  type Differences,
  differencesOf,
  divergedSet,
  expectAllEqual,
  expectRestorable,
  onMember,
  openApplication,
  scribble,
  untilDeposed,
  untilDown,
  untilFollowing,
} from "../support/diverged-set.ts";
import { readEvents } from "../support/events.ts";
import { createSet, killDaemon, MIRROR, OPERATIONAL, PAIR, startAll, untilSet } from "../support/mirror-set.ts";

const MEMBERS = [...PAIR, { member: BEHIND, follows: OPERATIONAL }];

/** What the report lists, in the words of {@link differencesOf}. */
function listed({ tables }: DivergenceReport): Differences {
  const text = (key: readonly NamedValue[]) =>
    key.map(({ value }) => (value.type === "text" ? `'${value.value}'` : value.value)).join("|");
  return Object.fromEntries(
    tables.map(({ name, onlyInLost, onlyInWinning, changed }) => {
      expect([onlyInLost, onlyInWinning, changed].map(({ rows }) => rows.length)).toEqual(
        [onlyInLost, onlyInWinning, changed].map(({ count }) => count),
      );
      const [lost, winning, both] = [onlyInLost, onlyInWinning, changed].map(({ rows }) =>
        rows.map(({ key }) => text(key)).sort(),
      );
      return [name, { onlyInLost: lost ?? [], onlyInWinning: winning ?? [], changed: both ?? [] }];
    }),
  );
}

function resultOf(stdout: string) {
  const { rejoined } = JSON.parse(stdout) as {
    rejoined: { epoch: number; databases: { directory: string; transactions: number; state: string }[] };
  };
  const [database] = rejoined.databases;
  if (database === undefined) throw new Error(stdout);
  return { epoch: rejoined.epoch, ...database };
}

test("a deposed member and the mirror behind it rejoin: what they lose is kept, reported exactly, and restorable", async () => {
  const diverged = await divergedSet({ members: MEMBERS, seed: Date.now() % 1_000_003, shipped: 40, uncut: 50 });
  const { set, after, lostPath } = diverged;
  // The fence is a commit, too.
  const surplus = diverged.surplus + 1;
  await untilDeposed(set);
  set.startDaemon(BEHIND);
  await untilDown(
    set,
    "the mirror behind it has diverged",
    () => set.databaseStatus(BEHIND)?.error?.code === "DIVERGED",
  );
  expect(set.databaseStatus(BEHIND)?.error?.hint).toContain("afterimage rejoin");
  const refused = await onMember(set, BEHIND, "rebuild", DATABASE, "--yes");
  expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining("DIVERGED")]);

  const planned = await onMember(set, OPERATIONAL, "rejoin", "--dry-run", "--json");
  const planOf = (stdout: string) => JSON.parse(stdout).plan.databases[0];
  expect([planned.code, planOf(planned.stdout)]).toMatchObject([0, { transactions: surplus, state: "diverged" }]);
  expect(existsSync(join(set.statePath(OPERATIONAL), "diverged"))).toBe(false);
  expect(set.status(OPERATIONAL)?.state).toBe("fenced");

  const expected = differencesOf(lostPath, set.databasePath(MIRROR));
  const rejoined = await onMember(set, OPERATIONAL, "rejoin", "--yes", "--json");
  expect([rejoined.code, rejoined.stderr]).toEqual([0, ""]);
  const { directory, transactions, state, epoch } = resultOf(rejoined.stdout);
  expect({ transactions, state, epoch }).toEqual({ transactions: surplus, state: "rejoined", epoch: 4 });
  const report = JSON.parse(readFileSync(join(directory, "report.json"), "utf8"));
  expect(listed(report)).toEqual(expected);
  expect(Object.keys(expected)).not.toContain("unchanged");
  expect(report).toMatchObject({ lost: directory, winning: set.databasePath(OPERATIONAL), equal: false });
  expect(report.positions).toMatchObject({ lost: expect.stringMatching(/^1:/), winning: expect.stringMatching(/^4:/) });
  expect(readFileSync(join(directory, "report.txt"), "utf8")).toContain(report.positions.winning);
  await expectRestorable(diverged, directory);

  const behind = await onMember(set, BEHIND, "rejoin", "--yes", "--json");
  expect([behind.code, behind.stderr]).toEqual([0, ""]);
  expect(resultOf(behind.stdout)).toMatchObject({ transactions: 40, state: "rejoined" });
  scribble(after, 7, 30);
  await untilFollowing(set, [OPERATIONAL, BEHIND]);
  expect(set.databaseStatus(OPERATIONAL)?.warnings).toEqual([]);
  const again = await onMember(set, OPERATIONAL, "rejoin", "--json");
  expect([again.code, resultOf(again.stdout).state]).toEqual([0, "follows"]);
  const verified = await onMember(set, OPERATIONAL, "verify");
  expect([verified.code, verified.stderr]).toEqual([0, ""]);
  await expectAllEqual(diverged);
});

test("the steps of docs/RECOVERY.md show what the former operational member had alone", async () => {
  const { set, lostPath } = await divergedSet({ members: PAIR, seed: 51, uncut: 40 });
  await untilDeposed(set);
  const document = readFileSync(new URL("../../docs/RECOVERY.md", import.meta.url), "utf8");
  const section = document.split(/^### /m).find((each) => each.startsWith("What the former")) ?? "";
  const [rejoin = "", restore = ""] = [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, commands]) => commands);
  const [planned, done] = (await shell(set, rejoin)).split(`${DATABASE}: follows; what differs is in `);
  expect(planned).toContain("41 transactions");
  const [report = ""] = (done ?? "").split("\n");
  expect(readFileSync(report, "utf8")).toContain("Table visit");
  await shell(set, restore.replace(/\/var\/lib\/afterimage\/diverged\/patients\/\S+/, dirname(report)));
  const again = openApplication(join(set.root, "again.db"));
  again.exec(readFileSync(join(set.root, "visit-lost.sql"), "utf8"));
  expect(differencesOf(lostPath, join(set.root, "patients-lost.db"))).toEqual({});
  expect(again.prepare("SELECT count(*) FROM visit").pluck().get()).toBeGreaterThan(0);
});

/** Runs commands of the document, which speak of the database `patients`, where the former operational member is. */
async function shell(set: DemoSet, commands: string): Promise<string> {
  const bin = join(set.root, "bin");
  mkdirSync(bin, { recursive: true });
  const program = join(bin, "afterimage");
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${PROGRAM}" "$@"\n`, { mode: 0o755 });
  const script = commands.replaceAll(/\bpatients\b(?!-)/g, DATABASE);
  const PATH = `${bin}:${process.env.PATH}`;
  const env = { ...process.env, PATH, AFTERIMAGE_NODE: OPERATIONAL };
  const { stdout } = await promisify(execFile)("bash", ["-euc", script], { cwd: set.root, env });
  return stdout;
}

test("a deposed member of which everything was shipped rejoins without copying", async () => {
  const diverged = await divergedSet({ members: PAIR, seed: 11, uncut: 0 });
  const { set, after } = diverged;
  await untilDeposed(set);
  const rejoined = await onMember(set, OPERATIONAL, "rejoin");
  expect([rejoined.code, rejoined.stderr]).toEqual([0, ""]);
  expect(rejoined.stdout).toContain(`${DATABASE}: follows; nothing was copied`);
  expect(existsSync(join(set.statePath(OPERATIONAL), "diverged"))).toBe(false);
  scribble(after, 12, 30);
  await untilFollowing(set, [OPERATIONAL]);
  expect(readEvents(set, OPERATIONAL).map(({ code }) => code)).not.toContain("RESYNCED");
  await expectAllEqual(diverged);
});

test("a member whose last commits were salvaged rejoins without copying, and has nothing to keep", async () => {
  const set = createSet(PAIR);
  const before = openApplication(set.databasePath(OPERATIONAL));
  createTables(before);
  scribble(before, 61, 50);
  await startAll(set);
  await untilSet(set, "the mirror is level", () => set.isCaughtUp(MIRROR));
  const former = set.daemon(OPERATIONAL);
  if (former !== null) await killDaemon(former);
  scribble(before, 62, 30);
  const salvaged = await onMember(set, MIRROR, "salvage", "--from", set.statePath(OPERATIONAL));
  expect([salvaged.code, salvaged.stdout]).toEqual([0, expect.stringContaining("30 transactions salvaged")]);
  const end = () => set.databaseStatus(MIRROR)?.integrated?.txid;
  await untilDown(set, "the mirror has integrated them", () => end() === (31).toString(16).padStart(16, "0"));
  const promoted = await onMember(set, MIRROR, "promote", "--force", OPERATIONAL);
  expect(promoted).toMatchObject({ code: 0 });
  const after = openApplication(set.databasePath(MIRROR));
  scribble(after, 63, 10);
  await untilDeposed(set);
  const rejoined = await onMember(set, OPERATIONAL, "rejoin", "--yes");
  expect([rejoined.code, rejoined.stderr]).toEqual([0, ""]);
  expect(rejoined.stdout).toContain(`${DATABASE}: follows; nothing was copied`);
  expect(existsSync(join(set.statePath(OPERATIONAL), "diverged"))).toBe(false);
  const fetched = readEvents(set, OPERATIONAL).find(({ code }) => code === "RESYNCED");
  expect(fetched?.data).toMatchObject({ pages: 0 });
  await untilFollowing(set, [OPERATIONAL]);
  const verified = await onMember(set, OPERATIONAL, "verify");
  expect([verified.code, verified.stderr]).toEqual([0, ""]);
  await expectAllEqual({ set, before, after, lostPath: "", surplus: 0 });
});

test("without a daemon the command keeps what only this member has, and the daemon does the rest when it starts", async () => {
  const diverged = await divergedSet({ members: PAIR, seed: 21, uncut: 25 });
  const { set } = diverged;
  const rejoined = await onMember(set, OPERATIONAL, "rejoin", "--yes", "--json");
  expect([rejoined.code, rejoined.stderr]).toEqual([0, expect.stringContaining("DEPOSED")]);
  const { directory, state, transactions } = resultOf(rejoined.stdout);
  expect({ state, transactions }).toEqual({ state: "rejoining", transactions: 26 });
  await expectRestorable(diverged, directory);
  set.startDaemon(OPERATIONAL);
  await untilDown(set, "the report is there", () => existsSync(join(directory, "report.txt")));
  await untilFollowing(set, [OPERATIONAL]);
  await expectAllEqual(diverged);
});

test("a member cannot rejoin while it cannot be told who reigns, and has nothing to rejoin when nobody else does", async () => {
  const { set } = await divergedSet({ members: PAIR, seed: 31, uncut: 5 });
  await untilDeposed(set);
  const refused = await onMember(set, MIRROR, "rejoin");
  expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining("NOT_A_MIRROR")]);
  const daemon = set.daemon(MIRROR);
  if (daemon !== null) await killDaemon(daemon);
  renameSync(set.mailboxPath(MIRROR), `${set.mailboxPath(MIRROR)}.away`);
  const alone = await onMember(set, OPERATIONAL, "rejoin", "--yes");
  expect([alone.code, alone.stderr]).toEqual([6, expect.stringContaining("REJOIN_UNREACHABLE")]);
  expect(set.status(OPERATIONAL)?.state).toBe("fenced");
});
