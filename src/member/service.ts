/**
 * The daemon's loops: each watches one thing and stops within a turn when told to.
 *
 * A loop that fails for a reason that no duty has caught ends the service: better a daemon that its supervisor starts
 * again than one that runs with a part missing.
 */
import { join } from "node:path";
import { startControlServer } from "./control-server.ts";
import { runBackupJob } from "./jobs/backup.ts";
import { publishStatus, runHeartbeatJob } from "./jobs/heartbeat.ts";
import { runIntegrateJob } from "./jobs/integrate.ts";
import { runPurgeJob } from "./jobs/purge.ts";
import { runRotateJob } from "./jobs/rotate.ts";
import { runShipJob } from "./jobs/ship.ts";
import { runSnapshotJob } from "./jobs/snapshot.ts";
import { runVerifyJob } from "./jobs/verify.ts";
import { serveMailbox } from "./mailbox-endpoint.ts";
import type { Member } from "./member.ts";
import { pause } from "./pause.ts";
import type { Peer } from "./peer.ts";

/** The lag that a mirror's status shows is as fresh as what it knows of its upstream. */
const UPSTREAM_INTERVAL_MS = 500;

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
    const loops = [...jobs(member, until), ...peerLoops(member, until), ...dutyLoops(member, until)];
    await Promise.all(loops.map((loop) => loop.catch((error: unknown) => stopAll(halt, error))));
  } finally {
    member.running = false;
    await control.close();
    publishStatus(member);
    logger.info({ member: self.name }, "stopped");
  }
  if (!stop.aborted) throw halt.signal.reason;
}

function stopAll(halt: AbortController, error: unknown): void {
  if (!halt.signal.aborted) halt.abort(error);
}

function jobs(member: Member, stop: AbortSignal): Promise<void>[] {
  return [
    runHeartbeatJob(member, stop),
    runPurgeJob(member, stop),
    runSnapshotJob(member, stop),
    runVerifyJob(member, stop),
    runBackupJob(member, stop),
  ];
}

function peerLoops(member: Member, stop: AbortSignal): Promise<void>[] {
  const shipping = [...member.shippers.values()].map((shipper) => runShipJob(member.context, shipper, stop));
  // Followers are observed by their shippers; of all other members only the upstream matters to this one.
  const { upstream } = member;
  return upstream === null ? shipping : [...shipping, observe(member, upstream, stop)];
}

function dutyLoops(member: Member, stop: AbortSignal): Promise<void>[] {
  const rotating = [...member.operational.values()].map((duty) => runRotateJob(member.context, duty, stop));
  const integrating = [...member.mirrors.values()].map((duty) => runIntegrateJob(member, duty, stop));
  return [...rotating, ...integrating];
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
