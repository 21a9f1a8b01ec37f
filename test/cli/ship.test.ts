/** `ship` and `snapshot`, with daemons that run and without. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DATABASE } from "../../src/demo/demo-set.ts";
import { Pair } from "./pair.ts";

const NEVER = "0 0 1 1 *";
const NOT_BY_SCHEDULE = { ship: NEVER, snapshot: NEVER };

function arrived(pair: Pair): string[] {
  const inbox = join(pair.set.mailboxPath("porto"), "inbox", DATABASE, "0000000000000001");
  return existsSync(inbox) ? readdirSync(inbox).filter((name) => name.endsWith(".ltx")) : [];
}

function upTo(txid: string) {
  return { member: "porto", databases: [{ database: DATABASE, shipped: txid, end: txid }], error: null };
}

test("with a daemon: ship waits for no schedule, and snapshot says when there is nothing new", async () => {
  const pair = new Pair(NOT_BY_SCHEDULE);
  const daemons = [pair.start("lisbon"), pair.start("porto")];
  await pair.until("both serve", () => ["lisbon", "porto"].every((name) => pair.set.databaseStatus(name) !== null));
  await pair.json("lisbon", "rotate");

  expect(await pair.json("lisbon", "ship")).toEqual({ shipped: [upTo("0000000000000001")] });
  await pair.until("porto has it", () => pair.set.databaseStatus("porto")?.integrated?.txid === "0000000000000001");
  expect(await pair.json("lisbon", "snapshot")).toEqual({ snapshots: [{ database: DATABASE, written: null }] });
  pair.write("INSERT INTO t VALUES (1)");
  const { snapshots } = await pair.json("lisbon", "snapshot", "--databases", DATABASE);
  expect(snapshots).toEqual([{ database: DATABASE, written: { pages: 2, bytes: expect.any(Number) } }]);
  const again = await pair.run("lisbon", "snapshot");
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining(`${DATABASE}: nothing new`) });
  const shipped = await pair.run("lisbon", "ship", "--members", "porto");
  expect(shipped).toMatchObject({ code: 0, stdout: `porto: ${DATABASE} has all up to 0000000000000002\n` });
  expect(await pair.json("porto", "ship")).toEqual({ shipped: [] });

  for (const { child } of daemons) child.kill("SIGTERM");
  for (const { ended } of daemons) expect(await ended).toMatchObject({ code: 0, signal: null });
});

test("without a daemon both do the work themselves, and a mailbox that cannot be reached is exit code 6", async () => {
  const pair = new Pair(NOT_BY_SCHEDULE);
  await pair.json("lisbon", "rotate");
  rmSync(pair.set.mailboxPath("porto"), { recursive: true });
  const failed = await pair.run("lisbon", "ship");
  expect(failed.code).toBe(6);
  expect(failed.stdout).toContain(`porto: ${DATABASE} has 0000000000000000 of 0000000000000001\n`);
  expect(failed.stdout).toContain("porto: error TARGET_MISSING: ");
  const refused = await pair.run("lisbon", "ship", "--json");
  expect(refused.code).toBe(6);
  expect(JSON.parse(refused.stdout)).toMatchObject({ shipped: [{ error: { code: "TARGET_MISSING" } }] });

  mkdirSync(pair.set.mailboxPath("porto"), { recursive: true });
  expect(await pair.json("lisbon", "ship")).toEqual({ shipped: [upTo("0000000000000001")] });
  expect(arrived(pair)).toEqual(["0000000000000001-0000000000000001.ltx"]);
  pair.write("INSERT INTO t VALUES (1)");
  expect(await pair.json("lisbon", "snapshot")).toMatchObject({ snapshots: [{ written: { pages: 2 } }] });
  expect((await pair.run("porto", "ship")).stdout).toBe("no member follows this one\n");
  const unknown = await pair.run("lisbon", "ship", "--members", "faro");
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("error FOLLOWER_UNKNOWN: ") });
  const noDatabase = await pair.run("lisbon", "snapshot", "--databases", "shopp");
  expect(noDatabase).toMatchObject({ code: 2, stderr: expect.stringContaining("error DATABASE_UNKNOWN: ") });
});
