/** Members in the test's own process: no daemon, every step taken by the test. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { pino } from "pino";
import { stringify } from "yaml";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { Member } from "../../src/member/member.ts";

export const CLINIC = "clinic";
/** How the first epoch is written in paths. */
export const FIRST_EPOCH = "0000000000000001";

export function databasePath(root: string, member: string): string {
  return join(root, `${member}.db`);
}

export function inboxPath(root: string, member: string): string {
  return join(root, member, "mailbox", "inbox", CLINIC, FIRST_EPOCH);
}

export function segmentsPath(root: string, member: string): string {
  return join(root, member, "state", "journal", CLINIC, FIRST_EPOCH, "ltx");
}

/** Keys of the configuration's `journal` section. */
export type JournalKeys = Readonly<Record<string, string | number>>;

/** Opens a member of a set in `root`: lisbon is operational, porto follows it. The caller closes it. */
export async function openMember(
  root: string,
  member: string,
  nowMs?: () => number,
  journal: JournalKeys = {},
): Promise<Member> {
  const configuration = loadConfiguration(writeConfiguration(root, journal));
  const logger = pino({ level: "silent" });
  return await Member.open({ configuration, member, logger, ...(nowMs === undefined ? {} : { nowMs }) });
}

export function createClinic(path: string): Database.Database {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec(
    "CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT, scan BLOB); CREATE INDEX by_note ON visit (note)",
  );
  return database;
}

/** One commit a visit. */
export function addVisits(database: Database.Database, count: number): void {
  const insert = database.prepare("INSERT INTO visit (note, scan) VALUES (?, randomblob(?))");
  for (let i = 0; i < count; i++) insert.run(`visit ${i}`, (i * 37) % 3000);
}

function writeConfiguration(root: string, journal: JournalKeys): string {
  const entry = (name: string) => ({
    mailbox: `file://${join(root, name, "mailbox")}`,
    state: join(root, name, "state"),
    databases: { [CLINIC]: databasePath(root, name) },
  });
  const path = join(root, "afterimage.yaml");
  const members = { lisbon: entry("lisbon"), porto: entry("porto") };
  writeFileSync(path, stringify({ mirror: "clinic", operational: "lisbon", members, journal }));
  return path;
}
