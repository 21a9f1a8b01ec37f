/** A pair of members over directories: every command with daemons that run, and without. */
import { rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { ProcessLock } from "../../src/journal/process-lock.ts";
import { afterimage } from "./afterimage.ts";
import { Pair } from "./pair.ts";

/** By then a daemon has tried to begin, on a machine that is not too busy. */
const LONGER_THAN_A_START_MS = 2_500;

test("with daemons: rotate, status, segments, verify, inspect, fence and unfence", async () => {
  const pair = new Pair();
  const daemons = [pair.start("lisbon"), pair.start("porto")];
  const integrated = (member: string) => pair.set.databaseStatus(member)?.integrated?.txid ?? null;
  await pair.until("porto has its snapshot", () => integrated("porto") !== null);

  pair.write("INSERT INTO t VALUES (1)");
  const { rotated } = await pair.json("lisbon", "rotate");
  expect(rotated).toMatchObject([
    { database: "shop", position: expect.stringMatching(/^1:[0-9a-f]{16}:[0-9a-f]{16}$/) },
  ]);
  const [, end] = rotated[0].position.split(":");
  await pair.until("porto has the transaction", () => integrated("porto") === end);
  // It counts as connected once it has seen lisbon's heartbeat move, which may come later than a transaction.
  await pair.until("porto is connected", () => pair.set.status("porto")?.state === "connected");

  const status = await pair.run("porto", "status");
  expect(status.code).toBe(0);
  const [heading, titles, lisbon, porto] = status.stdout.split("\n");
  expect(heading).toContain("as porto sees it");
  expect(titles).toMatch(/^Member +Role +State +Epoch +Received +Lag +Integrated +Lag$/);
  expect(lisbon).toMatch(/^lisbon +operational +operational +1 /);
  expect(porto).toMatch(new RegExp(`^ {2}porto +mirror +connected +1 +${end} +0 +${end} +0$`));
  const inYaml = parse((await pair.run("porto", "status", "-f", "yaml", "--rates")).stdout);
  expect(inYaml.rates.transactionsPerSecond).toBeGreaterThan(0);
  expect(inYaml).toMatchObject({ answeredBy: "porto", missingDatabases: [], members: [{}, { member: "porto" }] });

  const { segments } = await pair.json("porto", "segments");
  expect(segments[0]).toMatchObject({ database: "shop", epoch: 1, kind: "snapshot", minTxid: "0000000000000001" });
  expect(segments.at(-1)).toMatchObject({ kind: "segment", maxTxid: end });
  const file: string = segments.at(-1).path;
  const search = async (...args: string[]) => (await pair.json("porto", "segments", ...args)).segments;
  expect(await search("--txid", end)).toEqual([segments.at(-1)]);
  expect(await search("--kind", "snapshot", "--epoch", "1", "--since", "2020-01-01T00:00:00+01:00")).toEqual([
    segments[0],
  ]);
  expect(await pair.json("porto", "inspect", file, "--pages")).toMatchObject({
    kind: "segment",
    bytes: statSync(file).size,
    maxTxid: end,
    epoch: 1,
    pageSize: 4096,
    pageList: [{ pgno: 2 }],
  });
  expect(await pair.json("porto", "verify")).toMatchObject({ ok: true, databases: [{ ok: true, problems: [] }] });

  const refused = await pair.run("porto", "rotate");
  expect(refused).toMatchObject({ code: 3, stdout: "", stderr: expect.stringContaining("error NOT_OPERATIONAL: ") });
  expect(await pair.json("lisbon", "fence")).toMatchObject({
    databases: [{ database: "shop", fenced: true, changed: true }],
  });
  expect(() => pair.write("INSERT INTO t VALUES (2)")).toThrow(/readonly/);
  expect(await pair.json("lisbon", "unfence", "shop")).toMatchObject({ databases: [{ fenced: false, changed: true }] });
  pair.write("INSERT INTO t VALUES (2)");

  for (const { child } of daemons) child.kill("SIGTERM");
  for (const { ended } of daemons) expect(await ended).toMatchObject({ code: 0, signal: null, stdout: "" });
});

test("without daemons each command does the work itself", async () => {
  const pair = new Pair();
  expect(await pair.json("lisbon", "rotate")).toMatchObject({ rotated: [{ database: "shop" }] });
  const { segments } = await pair.json("lisbon", "segments", "--limit", "1");
  expect(segments).toHaveLength(1);
  expect(await pair.json("porto", "integrate")).toMatchObject({ integrated: [{ database: "shop", position: null }] });
  const status = await pair.run("lisbon", "status", "--json");
  expect(status.code).toBe(6);
  expect(JSON.parse(status.stdout).members).toMatchObject([
    { member: "lisbon", role: "operational", state: "down" },
    { member: "porto", reachable: false },
  ]);
  const verified = await pair.run("lisbon", "verify", "--json");
  expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true });
  const wrong = await pair.run("lisbon", "rotate", "shopp", "--json");
  expect(wrong.code).toBe(2);
  expect(JSON.parse(wrong.stdout)).toMatchObject({ error: { code: "DATABASE_UNKNOWN" } });
});

test("a second daemon on the same state is refused as busy", async () => {
  const pair = new Pair();
  pair.start("lisbon");
  await pair.until("lisbon serves", () => pair.set.databaseStatus("lisbon") !== null);
  const second = await pair.run("lisbon", "run");
  expect(second).toMatchObject({ code: 4, stderr: expect.stringContaining("error LOCK_HELD: ") });
});

test("a daemon that is started while a command has the state begins when that has ended", async () => {
  const pair = new Pair();
  const lock = ProcessLock.acquire(join(pair.set.statePath("lisbon"), "locks", "member.db"), "a command");
  const { child: daemon } = pair.start("lisbon");
  const ended = () => daemon.exitCode !== null || daemon.signalCode !== null;
  await sleep(LONGER_THAN_A_START_MS);
  expect(ended()).toBe(false);
  lock.release();
  await pair.until("lisbon serves", () => ended() || pair.set.databaseStatus("lisbon") !== null);
  expect(ended()).toBe(false);
});

test("segment files are verified one by one, wherever they are", async () => {
  const pair = new Pair();
  const { segments } = await pair.json("lisbon", "rotate").then(() => pair.json("lisbon", "segments"));
  const file: string = segments[0].path;
  const cwd = pair.set.root;
  const good = await afterimage(["verify", file], { cwd });
  expect(good).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok {2}.*: transactions 0{15}1 to /) });
  truncateSync(file, statSync(file).size - 1);
  const bad = await afterimage(["verify", file, "--json"], { cwd });
  expect(bad.code).toBe(1);
  expect(JSON.parse(bad.stdout)).toMatchObject({
    ok: false,
    files: [{ file, ok: false, problems: [expect.any(String)] }],
  });
  const inspected = await afterimage(["inspect", file], { cwd });
  expect(inspected).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error SEGMENT_[A-Z]+: .*\n {2}path: /) });
  rmSync(file);
  const missing = await afterimage(["inspect", file], { cwd });
  expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining("error FILE_MISSING: ") });
  const directory = await afterimage(["inspect", join(file, "..")], { cwd });
  expect(directory).toMatchObject({ code: 1, stderr: expect.stringContaining("error FILE_UNREADABLE: ") });
});
