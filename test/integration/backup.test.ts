/** Backups and restores beside real daemons that integrate all the time. */
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { parse, stringify } from "yaml";
import { DatabaseLock } from "../../src/backup/database-lock.ts";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { afterimage, type Ended, startAfterimage } from "../cli/afterimage.ts";
import { readEvents } from "../support/events.ts";
import {
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  PAIR,
  startAll,
  untilLevel,
  untilSet,
} from "../support/mirror-set.ts";
import { lookAtOrders, startApplication, stopApplication } from "../support/orders.ts";

const ORDERS_PER_SECOND = 200;

function run(set: DemoSet, member: string, ...args: string[]): Promise<Ended> {
  return afterimage([...args, "--config", set.configPath, "--node", member], { cwd: set.root });
}

async function json(set: DemoSet, member: string, ...args: string[]) {
  const ended = await run(set, member, ...args, "--json");
  return { code: ended.code, document: JSON.parse(ended.stdout) };
}

/** A lock of the mirror's database, held by the test. */
function openLock(set: DemoSet): DatabaseLock {
  const lock = DatabaseLock.open(set.statePath(MIRROR), DATABASE);
  onTestFinished(() => lock.close());
  return lock;
}

function integratedTxid(set: DemoSet): string {
  return set.databaseStatus(MIRROR)?.integrated?.txid ?? "";
}

test("backups under continuous integration are states of the operational database, and are restored beyond", async () => {
  const set = createSet(PAIR);
  const application = await startApplication(set, ORDERS_PER_SECOND);
  await startAll(set);
  const made: { path: string; position: { txid: string } }[] = [];
  for (let round = 0; round < 4; round++) {
    const { code, document } = await json(set, MIRROR, "backup");
    expect({ code, failures: document.failures }).toEqual({ code: 0, failures: [] });
    made.push(...document.backups);
    const before = integratedTxid(set);
    await untilSet(set, "integration goes on", () => integratedTxid(set) > before);
  }
  const verified = await json(set, MIRROR, "backup", "verify");
  expect(verified.document).toMatchObject({ ok: true, backups: Array.from(made, () => ({ ok: true, problems: [] })) });
  expect((await json(set, MIRROR, "backup", "list")).document.backups).toHaveLength(made.length);

  for (const [index, { path, position }] of made.entries()) {
    // The journal of the operational member says what it was then, whatever the mirror did.
    const to = join(set.root, `from-journal-${index}.db`);
    const restored = await json(set, OPERATIONAL, "restore", DATABASE, "--to", to, "--txid", position.txid);
    expect(restored).toMatchObject({
      code: 0,
      document: { reached: { txid: position.txid }, base: { kind: "snapshot" } },
    });
    expect(readFileSync(to).equals(readFileSync(path))).toBe(true);
  }
  const { committed, orders } = await stopApplication(application);
  expect(await untilLevel(set, lookAtOrders)).toEqual({ commits: committed, orders });
  await set.stopDaemons();
  const newest = join(set.root, "newest.db");
  const from = made[0]?.path ?? "";
  expect((await run(set, MIRROR, "restore", DATABASE, "--to", newest, "--from", from)).code).toBe(0);
  expect(lookAtOrders(newest)).toEqual({ commits: committed, orders });
});

test("integration waits for a running backup, says so, and goes on after kill -9 of it", async () => {
  const set = createSet(PAIR);
  const application = await startApplication(set, ORDERS_PER_SECOND);
  await startAll(set);
  const lock = openLock(set);
  await lock.beginBackup();
  await untilSet(
    set,
    "status names the backup",
    () => set.databaseStatus(MIRROR)?.heldBy?.includes(String(process.pid)) === true,
  );
  const held = integratedTxid(set);
  const received = () => set.databaseStatus(MIRROR)?.received?.txid ?? "";
  const before = received();
  await untilSet(set, "receiving goes on", () => received() > before);
  expect(set.databaseStatus(MIRROR)).toMatchObject({ integrated: { txid: held }, error: null, paused: false });
  expect((await run(set, MIRROR, "status")).stdout).toContain(`${MIRROR}/${DATABASE}: paused by backup (process`);
  expect(await json(set, MIRROR, "integrate")).toMatchObject({
    code: 4,
    document: { error: { code: "INTEGRATION_WHILE_BACKUP" } },
  });
  expect(await json(set, MIRROR, "backup")).toMatchObject({
    code: 4,
    document: { failures: [{ error: { code: "BACKUP_RUNNING" } }] },
  });
  lock.freeDatabase();
  await untilSet(set, "integration goes on", () => integratedTxid(set) > held);
  await untilSet(set, "status names nobody", () => set.databaseStatus(MIRROR)?.heldBy === null);
  await stopApplication(application);
});

test("a backup waits for an integration or is refused, by its name, and gets the database when that is killed", async () => {
  const set = createSet(PAIR);
  const application = await startApplication(set, ORDERS_PER_SECOND);
  await startAll(set);
  const daemon = set.daemon(MIRROR);
  if (daemon === null) throw new Error("no daemon");
  await killDaemon(daemon);
  const lock = openLock(set);
  expect(lock.tryIntegrate()).toBe(true);
  const refused = await json(set, MIRROR, "backup");
  expect(refused.document.failures).toMatchObject([{ error: { code: "BACKUP_WHILE_INTEGRATING" } }]);
  expect(refused.code).toBe(4);
  expect(refused.document.failures[0].error.message).toContain(`process ${process.pid}`);
  const waiting = json(set, MIRROR, "backup", "--wait", "5m");
  lock.close();
  expect(await waiting).toMatchObject({ code: 0, document: { failures: [] } });
  await stopApplication(application);
});

test("backups are made by the daemon's schedule, and not while the member is operational", async () => {
  const set = createSet(PAIR);
  const database = new Database(set.databasePath(OPERATIONAL));
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE t (a)");
  onTestFinished(() => void database.close());
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  for (const member of [OPERATIONAL, MIRROR]) {
    const directory = join(set.root, "backups");
    configuration.members[member].backup = { directory, schedule: "* * * * * *", keep: 2, check: "quick" };
  }
  writeFileSync(set.configPath, stringify(configuration));
  await startAll(set);
  const events = (member: string, code: string) => readEvents(set, member).filter((event) => event.code === code);
  await untilSet(set, "four backups", () => events(MIRROR, "BACKUP_WRITTEN").length >= 4);
  expect(events(MIRROR, "BACKUP_FAILED")).toEqual([]);
  expect(events(OPERATIONAL, "BACKUP_SKIPPED")).toHaveLength(1);
  expect(await set.stopDaemons()).toEqual([]);
  const { document } = await json(set, MIRROR, "backup", "list");
  expect(document.backups).toMatchObject(Array.from({ length: 2 }, () => ({ member: MIRROR, error: null })));
  expect(readdirSync(join(set.root, "backups")).filter((name) => name.startsWith("_state@porto"))).toHaveLength(4);
});

test("a restore says what it would do, and does what it says", async () => {
  const set = createSet(PAIR);
  const database = new Database(set.databasePath(OPERATIONAL));
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE visit (note TEXT)");
  onTestFinished(() => void database.close());
  await startAll(set);
  const integrated = () => set.databaseStatus(MIRROR)?.integrated?.txid ?? "";
  const before = integrated();
  database.exec("INSERT INTO visit VALUES ('first')");
  await untilSet(set, "the mirror is level", () => integrated() > before && rows(set.databasePath(MIRROR)) === 1);
  const keptTime = set.databaseStatus(MIRROR)?.integrated?.time ?? "";
  const kept = join(set.root, "kept.db");
  database.exec("DROP TABLE visit");
  await waitUntil(() => rows(set.databasePath(MIRROR)) === null, { what: "the table is gone", stalledAfterMs: 20_000 });

  const to = join(set.root, "restored.db");
  const args = ["restore", DATABASE, "--to", to, "--time", keptTime];
  const dry = await json(set, MIRROR, ...args, "--dry-run");
  expect(dry).toMatchObject({ code: 0, document: { restored: false, reached: { time: keptTime } } });
  expect(dry.document.next.txid > dry.document.reached.txid).toBe(true);
  for (const { path } of dry.document.segments) expect(existsSync(path)).toBe(true);
  expect(existsSync(to)).toBe(false);
  const done = await run(set, MIRROR, ...args);
  expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining(`cut at ${keptTime}`) });
  expect(rows(to)).toBe(1);
  copyFileSync(to, kept);
  expect(await json(set, MIRROR, ...args)).toMatchObject({ code: 3, document: { error: { code: "FILE_EXISTS" } } });
  expect(readFileSync(to).equals(readFileSync(kept))).toBe(true);
  for (const [time, code] of [
    ["2001-01-01T00:00:00Z", "RESTORE_TOO_OLD"],
    ["2101-01-01T00:00:00Z", "RESTORE_TOO_NEW"],
  ]) {
    const late = await json(
      set,
      MIRROR,
      "restore",
      DATABASE,
      "--to",
      kept.replace("kept", "other"),
      "--time",
      time ?? "",
    );
    expect(late).toMatchObject({ code: 3, document: { error: { code } } });
  }
  expect((await run(set, MIRROR, "restore", DATABASE, "--to", "x.db", "--time", "yesterday")).code).toBe(2);
});

/** Rows of the table `visit`; null when there is none. */
function rows(path: string): number | null {
  const database = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    return Number(database.prepare("SELECT count(*) FROM visit").pluck().get());
  } catch {
    return null;
  } finally {
    database.close();
  }
}

test("a backup that is killed leaves no backup, and the next one cleans up", async () => {
  const set = createSet(PAIR);
  const database = new Database(set.databasePath(OPERATIONAL));
  database.pragma("journal_mode = WAL");
  database.exec(
    "CREATE TABLE t (a BLOB); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 60) INSERT INTO t SELECT randomblob(1000000) FROM n",
  );
  onTestFinished(() => void database.close());
  await startAll(set);
  const directory = join(set.statePath(MIRROR), "backups");
  const parts = () => (existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".part")) : []);
  const args = ["backup", "--config", set.configPath, "--node", MIRROR];
  for (let kill = 0; kill < 3; kill++) {
    const { child, ended } = startAfterimage(args, { cwd: set.root });
    await waitUntil(() => parts().some((name) => name.includes(`${DATABASE}@`)), {
      what: "a part file",
      stalledAfterMs: 20_000,
    });
    child.kill("SIGKILL");
    await ended;
    expect((await json(set, MIRROR, "backup", "list")).document.backups).toEqual([]);
    database.exec("INSERT INTO t VALUES (1)");
    await untilSet(set, "integration goes on", () => set.isCaughtUp(MIRROR));
  }
  expect((await json(set, MIRROR, "backup")).code).toBe(0);
  expect(parts()).toEqual([]);
});
