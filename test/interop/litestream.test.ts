import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { pino } from "pino";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { stringify } from "yaml";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { compareDatabases, integrityCheck, settleDatabase } from "../../src/demo/compare-databases.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { Member } from "../../src/member/member.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { buildGoTool, type GoTool } from "./go-tool.ts";

const MODULE = "github.com/benbjohnson/litestream/cmd/litestream@v0.5.16";
const FIRST_EPOCH = "0000000000000001";
const run = promisify(execFile);

let tool: GoTool;

beforeAll(async () => {
  tool = await buildGoTool(MODULE, "litestream");
  // The default reporter counts skipped tests and does not say why.
  if ("skipped" in tool) console.warn(`Litestream is not compared with: ${tool.skipped}`);
});

beforeEach((context) => {
  if ("skipped" in tool) context.skip(tool.skipped);
});

function litestream(): string {
  if ("skipped" in tool) throw new Error(tool.skipped);
  return tool.path;
}

function createDatabase(path: string): Database.Database {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec(
    "CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT, scan BLOB); CREATE INDEX by_note ON visit (note)",
  );
  return database;
}

function addVisits(database: Database.Database, count: number): void {
  const insert = database.prepare("INSERT INTO visit (note, scan) VALUES (?, randomblob(?))");
  for (let i = 0; i < count; i++) insert.run(`visit ${i}`, (i * 37) % 3000);
}

/** A pair of members in `root`; the database of each is `<member>.db`. */
function configure(root: string): string {
  const member = (name: string) => ({
    mailbox: `file://${join(root, name, "mailbox")}`,
    state: join(root, name, "state"),
    databases: { clinic: join(root, `${name}.db`) },
  });
  const path = join(root, "afterimage.yaml");
  const members = { lisbon: member("lisbon"), porto: member("porto") };
  writeFileSync(path, stringify({ mirror: "clinic", operational: "lisbon", members }));
  return path;
}

async function openMember(root: string, member: string): Promise<Member> {
  const configuration = loadConfiguration(configure(root));
  return await Member.open({ configuration, member, logger: pino({ level: "silent" }) });
}

test("litestream restore makes an equal database of our journal", async () => {
  const root = temporaryDirectory();
  const database = createDatabase(join(root, "lisbon.db"));
  addVisits(database, 200);
  const member = await openMember(root, "lisbon");
  await member.rotate();
  for (let round = 0; round < 5; round++) {
    addVisits(database, 50);
    database.exec(`DELETE FROM visit WHERE id % 7 = ${round}`);
    await member.rotate();
  }
  database.exec("VACUUM");
  const [result] = await member.rotate();
  expect(result?.segments).toHaveLength(1);
  await member.close();
  database.close();

  const journal = join(root, "lisbon", "state", "journal", "clinic", FIRST_EPOCH);
  const restored = join(root, "restored.db");
  await run(litestream(), ["restore", "-o", restored, `file://${journal}`]);
  settleDatabase(join(root, "lisbon.db"));
  expect(compareDatabases(join(root, "lisbon.db"), restored)).toMatchObject({ identical: true });
  expect(integrityCheck(restored)).toBe("ok");
});

test("a mirror integrates the journal that litestream replicate made", async () => {
  const root = temporaryDirectory();
  const source = join(root, "source.db");
  const replica = join(root, "replica");
  const database = createDatabase(source);
  addVisits(database, 100);
  const service = spawn(litestream(), ["replicate", source, `file://${replica}`], { stdio: "ignore" });
  const segments = join(replica, "ltx", "0");
  const count = () => (existsSync(segments) ? readdirSync(segments).length : 0);
  try {
    for (let round = 1; round <= 4; round++) {
      await waitUntil(() => count() >= round, {
        what: `segment ${round}`,
        stalledAfterMs: 30_000,
        progress: () => String(count()),
      });
      addVisits(database, 40);
    }
    database.close();
  } finally {
    // It copies what is left before it ends.
    service.kill("SIGTERM");
    await once(service, "exit");
  }

  const member = await openMember(root, "porto");
  const inbox = join(root, "porto", "mailbox", "inbox", "clinic", FIRST_EPOCH);
  mkdirSync(inbox, { recursive: true });
  for (const name of readdirSync(segments)) copyFileSync(join(segments, name), join(inbox, name));
  const [result] = await member.integrate();
  expect(result?.transactions).toBe(readdirSync(segments).length);
  expect(await member.verify()).toMatchObject([{ ok: true, problems: [] }]);
  await member.close();

  settleDatabase(source);
  settleDatabase(join(root, "porto.db"));
  expect(statSync(source).size).toBeGreaterThan(100_000);
  expect(compareDatabases(source, join(root, "porto.db"))).toMatchObject({ identical: true });
});
