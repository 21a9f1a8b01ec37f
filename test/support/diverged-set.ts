/**
 * Sets of real daemons whose operational member goes on alone after a mirror has been promoted: both sides write, tables of
 * several kinds, at random.
 */
import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished } from "vitest";
import { parse, stringify } from "yaml";
import { compareDatabases, integrityCheck, settleDatabase } from "../../src/demo/compare-databases.ts";
import { DATABASE, type DemoMember, type DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { afterimage } from "../cli/afterimage.ts";
import { createSet, killDaemon, MIRROR, OPERATIONAL, startAll, untilSet } from "./mirror-set.ts";

export const BEHIND = "faro";

const DRUGS = ["aspirin", "Ibuprofen", "ácido", ""];

/** Opens a database as an application does that makes no checkpoints, and closes it at the end of the test. */
export function openApplication(path: string): Database.Database {
  const database = new Database(path, { timeout: 10_000 });
  database.pragma("journal_mode = WAL");
  database.pragma("wal_autocheckpoint = 0");
  onTestFinished(() => void database.close());
  return database;
}

export function createTables(database: Database.Database): void {
  database.exec(`
    CREATE TABLE visit (id INTEGER PRIMARY KEY, patient TEXT, scan BLOB);
    CREATE INDEX by_patient ON visit (patient);
    CREATE TABLE dose (drug TEXT, batch INTEGER, amount REAL, label BLOB, PRIMARY KEY (drug, batch)) WITHOUT ROWID;
    CREATE TABLE remark (line TEXT);
    CREATE TABLE unchanged (id INTEGER PRIMARY KEY, word TEXT);
    INSERT INTO unchanged (word) VALUES ('one'), ('two');
  `);
}

/** So many commits of inserts, updates and deletes, drawn by `seed`. */
export function scribble(database: Database.Database, seed: number, commits: number): void {
  const draw = generator(seed);
  const blob = () => Buffer.from(Array.from({ length: draw(400) }, () => draw(256)));
  const acts: (() => void)[] = [
    () => run(database, "INSERT INTO visit (patient, scan) VALUES (?, ?)", `patient ${draw(1000)}`, blob()),
    () => run(database, "UPDATE visit SET patient = ?, scan = ? WHERE id = ?", `moved ${draw(1000)}`, blob(), draw(40)),
    () => run(database, "UPDATE visit SET patient = NULL WHERE id = ? AND patient NOT NULL", draw(40)),
    () => run(database, "DELETE FROM visit WHERE id = ?", draw(40)),
    () => run(database, "INSERT OR REPLACE INTO dose VALUES (?, ?, ?, ?)", drug(), draw(9), draw(100) / 8, blob()),
    () => run(database, "DELETE FROM dose WHERE drug = ? AND batch = ?", drug(), draw(9)),
    () => run(database, "INSERT INTO remark VALUES (?)", `line ${draw(1000)}`),
    () => run(database, "UPDATE remark SET line = line || '!' WHERE rowid = ?", draw(20)),
  ];
  const drug = () => DRUGS[draw(DRUGS.length)];
  // One that finds no row commits nothing.
  for (let committed = 0; committed < commits; ) {
    const before = database.prepare("SELECT total_changes()").pluck().get();
    acts[draw(acts.length)]?.();
    if (database.prepare("SELECT total_changes()").pluck().get() !== before) committed++;
  }
}

function run(database: Database.Database, sql: string, ...values: unknown[]): void {
  database.prepare(sql).run(...values);
}

/** Numbers below a bound: xorshift32 (Marsaglia, 2003). */
function generator(seed: number): (bound: number) => number {
  // Far from that of the next seed: the same row written again would commit nothing.
  let state = Math.imul(seed + 1, 0x9e3779b1) || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

/** By table and side, the keys of the rows that differ, each as text. */
export type Differences = Record<string, { onlyInLost: string[]; onlyInWinning: string[]; changed: string[] }>;

const KEYS: Readonly<Record<string, string>> = { visit: "id", dose: "drug, batch", remark: "rowid", unchanged: "id" };

/** What differs, found row by row in this process. */
export function differencesOf(lostPath: string, winningPath: string): Differences {
  const found: Differences = {};
  for (const [table, key] of Object.entries(KEYS)) {
    const [lost, winning] = [rowsOf(lostPath, table, key), rowsOf(winningPath, table, key)];
    const both = [...lost.keys()].filter((each) => winning.has(each));
    const difference = {
      onlyInLost: [...lost.keys()].filter((each) => !winning.has(each)).sort(),
      onlyInWinning: [...winning.keys()].filter((each) => !lost.has(each)).sort(),
      changed: both.filter((each) => lost.get(each) !== winning.get(each)).sort(),
    };
    if (Object.values(difference).some((keys) => keys.length > 0)) found[table] = difference;
  }
  return found;
}

function rowsOf(path: string, table: string, key: string): Map<string, string> {
  const database = new Database(path, { readonly: true });
  try {
    const columns = database.pragma(`table_info(${table})`) as { name: string }[];
    const values = columns.map(({ name }) => `quote(${name})`).join(" || '|' || ");
    const keys = key
      .split(", ")
      .map((name) => `quote(${name})`)
      .join(" || '|' || ");
    const rows = database.prepare(`SELECT ${keys} AS key, ${values} AS value FROM ${table}`).all() as {
      key: string;
      value: string;
    }[];
    return new Map(rows.map((row) => [row.key, row.value]));
  } finally {
    database.close();
  }
}

/** A copy of a database that nobody writes to just now, WAL and all, as one settled file. */
export function copySettled(from: string, to: string): void {
  copyFileSync(from, to);
  if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${to}-wal`);
  settleDatabase(to);
}

export async function onMember(set: DemoSet, member: string, ...args: string[]) {
  const { code, stdout, stderr } = await afterimage([...args, "--config", set.configPath, "--node", member], {
    cwd: set.root,
  });
  return { code, stdout, stderr };
}

/** The operational member of the configuration, by its name, is followed whoever is operational. */
export function followByName(set: DemoSet, member: string, upstream: string): void {
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  configuration.members[member].follows = upstream;
  writeFileSync(set.configPath, stringify(configuration));
}

export interface Diverged {
  readonly set: DemoSet;
  /** Connections of applications to the operational member that was, and to the one that is. */
  readonly before: Database.Database;
  readonly after: Database.Database;
  /** The last state of the one that was. */
  readonly lostPath: string;
  /** Commits that only that one has. */
  readonly surplus: number;
}

interface DivergedOptions {
  readonly members: readonly DemoMember[];
  readonly seed: number;
  /** Commits that are still shipped to the members behind the one that was, and then those that are not even cut. */
  readonly shipped?: number;
  readonly uncut: number;
}

/** The first member is down, the mirror is promoted and has commits of its own; the others' daemons are down as well. */
export async function divergedSet({ members, seed, shipped = 0, uncut }: DivergedOptions): Promise<Diverged> {
  const set = createSet(members);
  if (members.some(({ member }) => member === BEHIND)) followByName(set, BEHIND, OPERATIONAL);
  const path = set.databasePath(OPERATIONAL);
  const before = openApplication(path);
  createTables(before);
  scribble(before, seed, 120);
  await startAll(set);
  for (const { member } of set.mirrors) await untilSet(set, `${member} is level`, () => set.isCaughtUp(member));
  await set.daemon(MIRROR)?.terminate();
  const mailbox = set.mailboxPath(MIRROR);
  // Or what is shipped waits there.
  renameSync(mailbox, `${mailbox}.away`);
  if (shipped > 0) {
    scribble(before, seed + 1, shipped);
    const end = await rotatedEnd(set, OPERATIONAL);
    const moved = () => set.databaseStatus(BEHIND)?.integrated?.txid === end.split(":")[1];
    await untilDown(set, "the member behind has what the mirror has not", moved);
    await set.daemon(BEHIND)?.terminate();
  }
  const former = set.daemon(OPERATIONAL);
  if (former !== null) await killDaemon(former);
  scribble(before, seed + 2, uncut);
  const lostPath = join(set.root, "lost.db");
  copySettled(path, lostPath);
  renameSync(`${mailbox}.away`, mailbox);
  set.startDaemon(MIRROR);
  await untilDown(set, "the mirror runs", () => set.status(MIRROR)?.state === "waiting");
  const promoted = await onMember(set, MIRROR, "promote", "--force", OPERATIONAL);
  expect([promoted.code, promoted.stderr]).toEqual([0, ""]);
  const after = openApplication(set.databasePath(MIRROR));
  scribble(after, seed + 3, 60);
  return { set, before, after, lostPath, surplus: shipped + uncut };
}

/** As `untilSet`, while some daemons are down. */
export async function untilDown(set: DemoSet, what: string, condition: () => boolean): Promise<void> {
  await waitUntil(() => condition() || null, { what, stalledAfterMs: 60_000, progress: () => set.progress() });
}

export async function untilDeposed(set: DemoSet): Promise<void> {
  set.startDaemon(OPERATIONAL);
  await untilDown(set, "the former member is deposed", () => set.status(OPERATIONAL)?.errors[0]?.code === "DEPOSED");
}

/** Cuts what was committed on a member, and returns where its journal ends then: `epoch:txid:checksum`. */
async function rotatedEnd(set: DemoSet, member: string): Promise<string> {
  const { stdout } = await onMember(set, member, "rotate", "--json");
  return String(JSON.parse(stdout).rotated[0].position);
}

/** Waits until members have all that the promoted one has committed. */
export async function untilFollowing(set: DemoSet, members: readonly string[]): Promise<void> {
  const end = await rotatedEnd(set, MIRROR);
  for (const member of members) {
    await untilDown(set, `${member} follows`, () => {
      const { integrated = null, resync = null } = set.databaseStatus(member) ?? {};
      const { epoch, txid, checksum } = integrated ?? {};
      return resync === null && `${epoch}:${txid}:${checksum}` === end;
    });
  }
}

/** Stops everything and compares each member's pages with those of the promoted one. */
export async function expectAllEqual({ set, before, after }: Diverged): Promise<void> {
  before.close();
  after.close();
  const failed = await set.stopDaemons();
  expect(failed.map((daemon) => `${daemon.name}: ${daemon.logTail()}`)).toEqual([]);
  settleDatabase(set.databasePath(MIRROR));
  for (const { member } of set.members) {
    const path = set.databasePath(member);
    settleDatabase(path);
    expect({ member, ...compareDatabases(set.databasePath(MIRROR), path) }).toMatchObject({ identical: true });
    expect([member, integrityCheck(path)]).toEqual([member, "ok"]);
  }
}

/** Restores what is kept by the command, and compares it with the last state of the member that was operational. */
export async function expectRestorable({ set, lostPath }: Diverged, directory: string, member = OPERATIONAL) {
  const to = join(set.root, "restored.db");
  const restored = await onMember(set, member, "restore", DATABASE, "--from", directory, "--to", to);
  expect([restored.code, restored.stderr]).toEqual([0, ""]);
  settleDatabase(to);
  expect(compareDatabases(lostPath, to)).toMatchObject({ identical: true });
}
