/**
 * The daemon's loops: each watches one thing and stops within a turn when told to.
 *
 * A loop that fails for a reason that no duty has caught ends the service: better a daemon that its supervisor starts
 * again than one that runs with a part missing.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { watch } from "chokidar";
import { schedule } from "node-cron";
import { writeFileAtomically } from "../durable-files.ts";
import { parseTxid } from "../ltx/position.ts";
import { startControlServer } from "./control-server.ts";
import { runPurgeJob } from "./jobs/purge.ts";
import { runSnapshotJob } from "./jobs/snapshot.ts";
import { serveMailbox } from "./mailbox-endpoint.ts";
import type { Member } from "./member.ts";
import type { MirrorDuty } from "./mirror-duty.ts";
import type { OperationalDuty } from "./operational-duty.ts";
import { type Peer, STATUS_FILE } from "./peer.ts";
import { Signal } from "./signal.ts";

const HEARTBEAT_MS = 2_000;
/** Status changes with every segment; it is written at most this often. */
const STATUS_SPACING_MS = 100;
/** The lag that a mirror's status shows is as fresh as what it knows of its upstream. */
const UPSTREAM_INTERVAL_MS = 500;
/** The inbox is looked into this often even when the watcher says nothing. */
const SCAN_INTERVAL_MS = 2_000;
/** Between rotations, scheduled or for want of commits, the database is still looked after this often. */
const ATTEND_INTERVAL_MS = 1_000;

/** Serves until `stop` is aborted; everything that was begun is finished or undone when this resolves. */
export async function serve(member: Member, stop: AbortSignal): Promise<void> {
  const { self, logger } = member.context;
  const halt = new AbortController();
  const until = AbortSignal.any([stop, halt.signal]);
  await using _endpoint = await serveMailbox(member.context);
  const control = await startControlServer(join(self.state, "control.sock"), member);
  member.running = true;
  logger.info({ member: self.name, role: member.role, epoch: member.context.epoch }, "serving");
  try {
    const loops = [
      publishStatus(member, until),
      ...jobs(member, until),
      ...peerLoops(member, until),
      ...dutyLoops(member, until),
    ];
    await Promise.all(loops.map((loop) => loop.catch((error: unknown) => stopAll(halt, error))));
  } finally {
    member.running = false;
    await control.close();
    writeStatus(member);
    logger.info({ member: self.name }, "stopped");
  }
  if (!stop.aborted) throw halt.signal.reason;
}

function stopAll(halt: AbortController, error: unknown): void {
  if (!halt.signal.aborted) halt.abort(error);
}

function jobs(member: Member, stop: AbortSignal): Promise<void>[] {
  return [runPurgeJob(member, stop), runSnapshotJob(member, stop)];
}

function peerLoops(member: Member, stop: AbortSignal): Promise<void>[] {
  const shipping = [...member.shippers.values()].map((shipper) => shipper.run(stop));
  // Followers are observed by their shippers; of all other members only the upstream matters to this one.
  const { upstream } = member;
  return upstream === null ? shipping : [...shipping, observe(member, upstream, stop)];
}

function dutyLoops(member: Member, stop: AbortSignal): Promise<void>[] {
  const rotating = [...member.operational.values()].map((duty) => rotateLoop(member, duty, stop));
  const integrating = [...member.mirrors.values()].map((duty) => integrateLoop(member, duty, stop));
  return [...rotating, ...integrating];
}

async function rotateLoop(member: Member, duty: OperationalDuty, stop: AbortSignal): Promise<void> {
  const { rotate, minIntervalMs } = member.context.configuration.journal;
  if (rotate.kind === "continuous") {
    while (!stop.aborted) {
      await duty.poll({ rotate: true });
      await pause(minIntervalMs, stop);
      await duty.untilWritten(ATTEND_INTERVAL_MS, stop);
    }
    return;
  }
  const due = new Signal();
  let rotateNow = true;
  const task = schedule(rotate.expression, () => {
    rotateNow = true;
    due.set();
  });
  try {
    while (!stop.aborted) {
      const turn = { rotate: rotateNow };
      rotateNow = false;
      await duty.poll(turn);
      await due.wait(ATTEND_INTERVAL_MS, stop);
    }
  } finally {
    await task.destroy();
  }
}

async function integrateLoop(member: Member, duty: MirrorDuty, stop: AbortSignal): Promise<void> {
  const arrived = new Signal();
  const watcher = watch(duty.inbox.directory, { ignoreInitial: true, depth: 0, ignored: /\/\.[^/]*$/ });
  watcher.on("add", () => arrived.set());
  watcher.on("error", (error) =>
    member.context.logger.warn({ err: error }, "the inbox's watcher failed; scanning goes on"),
  );
  try {
    while (!stop.aborted) {
      const end = member.upstream?.status?.databases[duty.name]?.received?.txid ?? null;
      await duty.poll(end === null ? null : parseTxid(end));
      await arrived.wait(SCAN_INTERVAL_MS, stop);
    }
  } finally {
    await watcher.close();
  }
}

/** Keeps what is known of the upstream fresh; when it cannot be read now, it is simply read again later. */
async function observe(member: Member, upstream: Peer, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const before = upstream.status?.heartbeat;
    await upstream.refresh().catch(() => upstream.disconnect());
    if (upstream.status?.heartbeat !== before) member.statusChanged.set();
    await pause(UPSTREAM_INTERVAL_MS, stop);
  }
}

async function publishStatus(member: Member, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    writeStatus(member);
    await pause(STATUS_SPACING_MS, stop);
    await member.statusChanged.wait(HEARTBEAT_MS - STATUS_SPACING_MS, stop);
  }
}

/** A mailbox that cannot be written to (a full disk, a directory that is not mounted) must not stop capture or integration. */
function writeStatus(member: Member): void {
  const path = join(member.context.self.directory, STATUS_FILE);
  try {
    writeFileAtomically(path, `${JSON.stringify(member.ownStatus())}\n`);
  } catch (error) {
    member.context.logger.error({ err: error, path }, "the status document cannot be written");
  }
}

async function pause(milliseconds: number, stop: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal: stop }).catch(() => undefined);
}
