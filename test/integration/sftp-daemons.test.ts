import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { FILES_UNDER_WAY } from "../../src/member/shipments-under-way.ts";
import { countEntries, createEntries, EntryWriter, stopWriters } from "../support/entries.ts";
import {
  CHAIN,
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  startAll,
  stopAndCompare,
  untilLevel,
  untilSet,
} from "../support/mirror-set.ts";
import { sftpMailboxes } from "../support/sftp-mailboxes.ts";

const SECONDS = 10;
const LARGE_BYTES = 24 * 1024 * 1024;

test("daemons that serve their own mailboxes mirror a database through a chain by SFTP alone", async () => {
  const set = createSet(CHAIN);
  const members = set.members.map(({ member }) => member);
  set.configure(await sftpMailboxes(set, members));
  const path = set.databasePath(OPERATIONAL);
  createEntries(path);
  await startAll(set);
  const writers = [
    EntryWriter.start("better-sqlite3", path, "ana", 5),
    EntryWriter.start("better-sqlite3", path, "bento", 5),
  ];
  await sleep((SECONDS * 1000) / 2);
  // The endpoint dies with its daemon: the shipper meets a refused connection, and then a restarted server.
  const daemon = set.daemon(MIRROR);
  if (daemon === null) throw new Error("no daemon");
  await killDaemon(daemon);
  set.startDaemon(MIRROR);
  await sleep((SECONDS * 1000) / 2);
  const committed = await stopWriters(writers);
  const large = new Database(path);
  large.prepare("INSERT INTO entry VALUES ('large', 1, randomblob(?))").run(LARGE_BYTES);
  large.close();

  for (const rows of Object.values(committed)) expect(rows).toBeGreaterThan(SECONDS * 10);
  expect(await untilLevel(set, countEntries)).toEqual({ ...committed, large: 1 });
  for (const { member } of set.mirrors) {
    await untilSet(set, `nothing waits in ${member}'s inbox`, () => inboxFiles(set, member, ".ltx").length === 0);
    // What a kill ends leaves temporary files, which are removed after an hour. The lease is written anew all the time.
    const parts = () => inboxFiles(set, member, ".part").length;
    await untilSet(set, `no more waits in ${member}'s inbox`, () => parts() <= FILES_UNDER_WAY);
  }
  await stopAndCompare(set);
  console.log(`${JSON.stringify(committed)}, ${set.segmentCount()} segments by SFTP`);
});

function inboxFiles(set: DemoSet, member: string, ending: string): string[] {
  const names = readdirSync(join(set.mailboxPath(member), "inbox"), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(ending));
}
