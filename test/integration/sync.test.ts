import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { CHAIN, createSet, killDaemon, MIRROR, startAll, stopAndCompare, untilSet } from "../support/mirror-set.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/afterimage", import.meta.url));
const run = promisify(execFile);

async function sync(set: DemoSet, ...flags: string[]): Promise<{ exit: number; document: unknown }> {
  const args = [PROGRAM, "sync", "--config", set.configPath, "--node", set.operational, "--json", ...flags];
  try {
    const { stdout } = await run(process.execPath, args);
    return { exit: 0, document: JSON.parse(stdout) };
  } catch (error) {
    const failure = error as { code: number; stdout: string };
    return { exit: failure.code, document: JSON.parse(failure.stdout) };
  }
}

function rows(path: string): unknown {
  const database = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    return database.prepare("SELECT count(*) FROM visit").pluck().get();
  } finally {
    database.close();
  }
}

test("sync returns once every named member shows what was committed before it, also behind a mirror", async () => {
  const set = createSet(CHAIN);
  const database = new Database(set.databasePath(set.operational));
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE visit (note TEXT)");
  await startAll(set);
  for (let round = 1; round <= 5; round++) {
    database.prepare("INSERT INTO visit VALUES (?)").run(`visit ${round}`);
    const { exit, document } = await sync(set, "--timeout", "30s");
    expect({ exit, document }).toMatchObject({
      exit: 0,
      document: { synced: [{ member: "porto" }, { member: "faro" }] },
    });
    expect(set.mirrors.map(({ member }) => rows(set.databasePath(member)))).toEqual([round, round]);
  }

  const daemon = set.daemon(MIRROR);
  if (daemon !== null) await killDaemon(daemon);
  database.prepare("INSERT INTO visit VALUES ('late')").run();
  expect(await sync(set, "--members", "porto", "--timeout", "300ms")).toMatchObject({
    exit: 6,
    document: { error: { code: "SYNC_TIMEOUT", message: expect.stringContaining("porto") } },
  });
  expect(await sync(set, "--members", "lima")).toMatchObject({
    exit: 2,
    document: { error: { code: "FOLLOWER_UNKNOWN", hint: expect.stringContaining("faro") } },
  });
  set.startDaemon(MIRROR);
  expect(await sync(set, "--timeout", "30s")).toMatchObject({ exit: 0 });
  expect(set.mirrors.map(({ member }) => rows(set.databasePath(member)))).toEqual([6, 6]);

  // The operational member knows of faro only through porto.
  const faro = () => set.status(set.operational)?.followers.faro;
  await untilSet(set, "faro's receipt is here", () => faro()?.databases.shop?.lagTransactions === 0);
  expect(faro()).toMatchObject({
    via: "porto",
    reachable: true,
    databases: { shop: { lagSeconds: 0, shipped: null } },
  });
  database.close();
  await stopAndCompare(set);
});
