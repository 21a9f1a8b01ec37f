import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { compareDatabases, integrityCheck, settleDatabase } from "../../src/demo/compare-databases.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { LITESTREAM_MODULE } from "../bench/peers.ts";
import { addVisits, createClinic, databasePath, inboxPath, openMember, segmentsPath } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { buildGoTool, type GoTool } from "./go-tool.ts";

const run = promisify(execFile);

let tool: GoTool;

beforeAll(async () => {
  tool = await buildGoTool(LITESTREAM_MODULE, "litestream");
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

test("litestream restore makes an equal database of our journal", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
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
  // Whatever a start does to the journal directory must leave it a replica.
  await (await openMember(root, "lisbon")).close();

  const journal = dirname(segmentsPath(root, "lisbon"));
  const restored = join(root, "restored.db");
  await run(litestream(), ["restore", "-o", restored, `file://${journal}`]);
  settleDatabase(databasePath(root, "lisbon"));
  expect(compareDatabases(databasePath(root, "lisbon"), restored)).toMatchObject({ identical: true });
  expect(integrityCheck(restored)).toBe("ok");
});

test("a mirror integrates the journal that litestream replicate made", async () => {
  const root = temporaryDirectory();
  const source = join(root, "source.db");
  const replica = join(root, "replica");
  const database = createClinic(source);
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
  const inbox = inboxPath(root, "porto");
  mkdirSync(inbox, { recursive: true });
  for (const name of readdirSync(segments)) copyFileSync(join(segments, name), join(inbox, name));
  const [result] = await member.integrate();
  expect(result?.transactions).toBe(readdirSync(segments).length);
  expect(await member.verify()).toMatchObject([{ ok: true, problems: [] }]);
  await member.close();

  settleDatabase(source);
  settleDatabase(databasePath(root, "porto"));
  expect(statSync(source).size).toBeGreaterThan(100_000);
  expect(compareDatabases(source, databasePath(root, "porto"))).toMatchObject({ identical: true });
});
