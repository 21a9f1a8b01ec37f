/**
 * Daemons that ship to a mirror's mailbox behind a real sshd, through everything that may befall it. While a fault
 * lasts, the status names its cause; when it ends, shipping goes on by itself, and nothing is lost.
 */
import { readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { countEntries, createEntries, type EntryCounts, EntryWriter, stopWriters } from "../support/entries.ts";
import {
  createSet,
  MIRROR,
  OPERATIONAL,
  PAIR,
  startAll,
  stopAndCompare,
  untilLevel,
  untilSet,
} from "../support/mirror-set.ts";
import { separateNetwork } from "../support/separate-network.ts";
import { mountSmallFileSystem } from "../support/small-file-system.ts";
import { generateKey, kill, type SshServer, startSshServer } from "../transport/ssh-server.ts";

const PAUSE_MS = 10;
const MIB = 1024 * 1024;

interface Shipping {
  readonly set: DemoSet;
  readonly server: SshServer;
  readonly writers: EntryWriter[];
}

/** A running pair whose mirror's mailbox is the server's directory, with writers at work. */
async function startShipping(server: SshServer): Promise<Shipping> {
  const set = createSet(PAIR);
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  const { user, host, port, path, hostKey } = server.mailbox;
  const mailbox = `sftp://${user}@${host}:${port}${path}`;
  Object.assign(configuration.members[MIRROR], { mailbox, hostKey, directory: server.directory });
  writeFileSync(set.configPath, stringify({ ...configuration, ssh: { identity: server.ssh.identity } }));
  rmSync(set.mailboxPath(MIRROR), { recursive: true });
  symlinkSync(server.directory, set.mailboxPath(MIRROR));
  const database = set.databasePath(OPERATIONAL);
  createEntries(database);
  await startAll(set);
  const writers = ["ana", "bento"].map((name) => EntryWriter.start("better-sqlite3", database, name, PAUSE_MS));
  return { set, server, writers };
}

/** The code of what keeps the operational member from shipping; null when nothing does. */
function faultOf(set: DemoSet): string | null {
  return set.status(OPERATIONAL)?.followers[MIRROR]?.error?.code ?? null;
}

async function untilFault(set: DemoSet, code: string): Promise<void> {
  await untilSet(set, `the status says ${code}, and not ${faultOf(set)}`, () => faultOf(set) === code);
}

/** Waits until the fault is over and something that was committed after its end has been integrated. */
async function untilShipping(set: DemoSet): Promise<void> {
  await untilSet(set, `shipping goes on after ${faultOf(set)}`, () => faultOf(set) === null);
  const before = set.progress();
  await untilSet(set, "the mirror moves", () => set.progress() !== before);
}

async function finish({ set, writers }: Shipping): Promise<EntryCounts> {
  const committed = await stopWriters(writers);
  expect(await untilLevel(set, countEntries)).toEqual(committed);
  await stopAndCompare(set);
  return committed;
}

function endSessions(server: SshServer): void {
  for (const pid of server.sessionPids()) kill(pid, "SIGKILL");
}

test("sessions that are killed or stopped, keys that are removed or changed: each is named, and shipping goes on", async () => {
  const shipping = await startShipping(await startSshServer({ sharedAccount: true }));
  const { set, server } = shipping;
  for (let round = 0; round < 5; round++) {
    await sleep(300);
    endSessions(server);
    await untilShipping(set);
  }

  const stopped = server.sessionPids();
  for (const pid of stopped) kill(pid, "SIGSTOP");
  await untilFault(set, "TIMED_OUT");
  for (const pid of stopped) kill(pid, "SIGCONT");
  await untilShipping(set);

  const authorized = join(server.keys, "authorized_keys");
  renameSync(authorized, `${authorized}.away`);
  endSessions(server);
  await untilFault(set, "LOGIN_REFUSED");
  renameSync(`${authorized}.away`, authorized);
  await untilShipping(set);

  const hostKey = join(server.keys, "host_ed25519");
  for (const file of [hostKey, `${hostKey}.pub`]) renameSync(file, `${file}.away`);
  generateKey(hostKey);
  await server.stop();
  await untilFault(set, "CONNECTION_REFUSED");
  await server.start();
  await untilFault(set, "HOST_KEY_CHANGED");
  for (const file of [hostKey, `${hostKey}.pub`]) renameSync(`${file}.away`, file);
  await server.stop();
  await server.start();
  await untilShipping(set);

  const committed = await finish(shipping);
  console.log(`${JSON.stringify(committed)}, ${set.segmentCount()} segments`);
});

test("a mailbox without space is named, and filled again when there is some", async () => {
  const server = await startSshServer({ sharedAccount: true });
  const disk = mountSmallFileSystem(16 * MIB, server.directory);
  if (disk === null) return;
  const shipping = await startShipping(server);
  const { set } = shipping;
  await untilShipping(set);
  const ballast = join(server.directory, "ballast");
  expect(() => writeFileSync(ballast, Buffer.alloc(32 * MIB))).toThrow(/ENOSPC/);
  await untilFault(set, "TARGET_FULL");
  rmSync(ballast);
  await untilShipping(set);
  await finish(shipping);
});

test("packets that are lost for 60 s without a word are noticed, and shipping goes on afterwards", async () => {
  const network = separateNetwork();
  if (network === null) return;
  const shipping = await startShipping(await startSshServer({ network, sharedAccount: true }));
  const { set } = shipping;
  await untilShipping(set);
  network.lose();
  const lostAtMs = performance.now();
  await untilFault(set, "TIMED_OUT");
  const noticedAfterMs = performance.now() - lostAtMs;
  await sleep(60_000 - noticedAfterMs);
  network.carry();
  const carriedAtMs = performance.now();
  await untilShipping(set);
  const resumedAfterMs = performance.now() - carriedAtMs;
  await finish(shipping);
  console.log(
    `noticed after ${(noticedAfterMs / 1000).toFixed(1)} s, went on ${(resumedAfterMs / 1000).toFixed(1)} s after the loss`,
  );
});
