import { once } from "node:events";
import { statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { freePorts } from "../../src/demo/free-ports.ts";
import { startSftpDaemons } from "../../src/demo/sftp-mailboxes.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { createSet, MIRROR, OPERATIONAL, PAIR, untilLevel, untilReadable, untilSet } from "../support/mirror-set.ts";

async function listenSomewhere(): Promise<number> {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  onTestFinished(async () => {
    server.close();
    await once(server, "close");
  });
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("not a port");
  return address.port;
}

function pairWithEntries(): DemoSet {
  const set = createSet(PAIR);
  createEntries(set.databasePath(OPERATIONAL));
  return set;
}

const until = (set: DemoSet) => async (what: string, condition: () => boolean) => {
  await untilSet(set, what, condition);
};

test("a set's daemons ship by SFTP with pinned keys that were made for it", async () => {
  const set = pairWithEntries();
  await startSftpDaemons(set, until(set));
  await untilReadable(set, MIRROR);
  await untilLevel(set, countEntries);
  const { members, ssh } = loadConfiguration(set.configPath);
  const shown = [...members.values()].map(({ mailbox, hostKey }) => ({ mailbox, hostKey }));
  expect(shown).toEqual(
    PAIR.map(() => ({
      mailbox: expect.stringMatching(/^sftp:\/\/demo@127\.0\.0\.1:\d+\//),
      hostKey: expect.stringMatching(/^SHA256:/),
    })),
  );
  expect(new Set(shown.map(({ hostKey }) => hostKey)).size).toBe(PAIR.length);
  expect(ssh.identity).toBe(join(set.root, "identity"));
  expect(statSync(join(set.root, "identity")).mode & 0o777).toBe(0o600);
});

test("other ports are used when another program has taken one", async () => {
  const set = pairWithEntries();
  const taken = await listenSomewhere();
  let calls = 0;
  await startSftpDaemons(set, until(set), async (count) => {
    const ports = await freePorts(count);
    return calls++ === 0 ? [...ports.slice(1), taken] : ports;
  });
  expect(calls).toBe(2);
  await untilReadable(set, MIRROR);
});

test("a daemon that fails for another reason is not started again", async () => {
  const set = createSet(PAIR);
  new Database(join(set.statePath(MIRROR), "state.db")).exec("PRAGMA user_version = 99; CREATE TABLE t (a)").close();
  let calls = 0;
  const start = startSftpDaemons(set, until(set), async (count) => {
    calls++;
    return await freePorts(count);
  });
  await expect(start).rejects.toThrow(`${MIRROR} ended: `);
  expect(calls).toBe(1);
});

test("free ports are all different", async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
});
