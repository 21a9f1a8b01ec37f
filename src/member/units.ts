/** What runs in a daemon, by a plan: a unit for each job, and what of the configuration it must be started anew for. */
import { alertConfiguration } from "../config/alert-configuration.ts";
import { runAlertDelivery, runDeadManPing } from "./alert-delivery.ts";
import { serveHttp } from "./http-endpoint.ts";
import { runBackupJob } from "./jobs/backup.ts";
import { runDatabasesJob } from "./jobs/databases.ts";
import { runDeepVerifyJob } from "./jobs/deep-verify.ts";
import { runDrillJob } from "./jobs/drill.ts";
import { runHandoverJob } from "./jobs/handover.ts";
import { runHeartbeatJob } from "./jobs/heartbeat.ts";
import { runIntegrateJob } from "./jobs/integrate.ts";
import { runMemoryJob } from "./jobs/memory.ts";
import { runObserveJob } from "./jobs/observe.ts";
import { runPurgeJob } from "./jobs/purge.ts";
import { runRejoinJob } from "./jobs/rejoin.ts";
import { runRotateJob } from "./jobs/rotate.ts";
import { runShipJob, runShipNowJob } from "./jobs/ship.ts";
import { runSnapshotJob } from "./jobs/snapshot.ts";
import { runVerifyJob } from "./jobs/verify.ts";
import { runWatchJob } from "./jobs/watch.ts";
import { type ServeOptions, serveMailbox } from "./mailbox-endpoint.ts";
import type { Member } from "./member.ts";
import type { AlertChannel } from "./member-alerts.ts";
import { connectionFingerprint, type MemberPlan, shipperFingerprint } from "./member-plan.ts";
import type { Unit } from "./unit-supervisor.ts";

export const ENDPOINT = "endpoint";

export interface UnitOptions extends ServeOptions {
  /** Called when databases have come or gone. */
  readonly onDatabases: () => void;
}

/** The units of a plan by name. They look for their duty, peer or shipper when they start, so the member must have taken the plan by then. */
export function unitsOf(member: Member, plan: MemberPlan, options: UnitOptions): Map<string, Unit> {
  return new Map([...memberUnits(member, plan, options), ...peerUnits(member, plan), ...databaseUnits(member, plan)]);
}

function memberUnits(member: Member, plan: MemberPlan, options: UnitOptions): [string, Unit][] {
  const { context } = member;
  const { journal, timeZone } = plan.configuration;
  const { listen, http, backup, databasePatterns } = plan.self;
  const units: [string, Unit][] = [
    ["alerts", unit([], (stop) => member.alerts.run(stop))],
    ["heartbeat", unit([], (stop) => runHeartbeatJob(member, stop))],
    ["watchdog", unit([], (stop) => member.watchdog.run(stop))],
    ["handover", unit([plan.duty], (stop) => runHandoverJob(member, stop))],
    ["memory", unit([], (stop) => runMemoryJob(stop))],
    ["purge", unit([], (stop) => runPurgeJob(member, stop))],
    ["rejoin", unit([], (stop) => runRejoinJob(member, stop))],
    ["snapshot", unit([journal.snapshot, timeZone], (stop) => runSnapshotJob(member, stop))],
    ["verify", unit([journal.verify, timeZone], (stop) => runVerifyJob(member, stop))],
    ["deepVerify", unit([journal.deepVerify, timeZone, plan.duty], (stop) => runDeepVerifyJob(member, stop))],
    ["backup", unit([backup, timeZone, plan.duty], (stop) => runBackupJob(member, stop))],
    ["drill", unit([plan.self.drill, timeZone, plan.duty], (stop) => runDrillJob(member, stop))],
  ];
  units.push(...alertUnits(member, plan));
  if (listen !== null) units.push([ENDPOINT, unit([listen], (stop) => serveMailbox(context, options, stop))]);
  if (http !== null) units.push(["http", unit([http], (stop) => serveHttp(member, stop))]);
  if (databasePatterns.length > 0)
    units.push([
      "databases",
      unit([databasePatterns, plan.duty], (stop) => runDatabasesJob(member, options.onDatabases, stop)),
    ]);
  return units;
}

/** Each of those who are told of alerts has a unit, so that one who does not answer holds no other up. */
function alertUnits(member: Member, { configuration, self }: MemberPlan): [string, Unit][] {
  const { webhook, mail, ping } = alertConfiguration(configuration, self);
  const deliver = (channel: AlertChannel, facts: unknown): [string, Unit] => [
    `alerts:${channel}`,
    unit([facts], (stop) => runAlertDelivery(member, channel, stop)),
  ];
  return [
    ...(self.hooks.alert === undefined ? [] : [deliver("hook", self.hooks.alert)]),
    ...(webhook === null ? [] : [deliver("webhook", webhook)]),
    ...(mail === null ? [] : [deliver("mail", mail)]),
    ...(ping === null
      ? []
      : [["alerts:ping", unit([ping], (stop) => runDeadManPing(member, stop))] satisfies [string, Unit]]),
  ];
}

function peerUnits(member: Member, plan: MemberPlan): [string, Unit][] {
  const { configuration, followers, upstream } = plan;
  const shipping = followers.map((name): [string, Unit] => [
    `ship:${name}`,
    unit([shipperFingerprint(plan, name)], (stop) =>
      whenThere(member.shippers.get(name), (shipper) => {
        const isAsked = member.peers.get(name)?.status?.collecting === plan.self.name;
        return isAsked ? runShipNowJob(shipper, stop) : runShipJob(member.context, shipper, stop);
      }),
    ),
  ]);
  const others = [...configuration.members.keys()].filter(
    (name) => name !== plan.self.name && name !== upstream && !followers.includes(name),
  );
  const watching = others.map((name): [string, Unit] => [
    `watch:${name}`,
    unit([connectionFingerprint(configuration, name), plan.duty], (stop) =>
      whenThere(member.peers.get(name), (peer) => runWatchJob(member, peer, stop)),
    ),
  ]);
  if (upstream === null) return [...shipping, ...watching];
  const observing = unit([connectionFingerprint(configuration, upstream)], (stop) =>
    whenThere(member.peers.get(upstream), (peer) => runObserveJob(member, peer, stop)),
  );
  return [...shipping, ...watching, [`observe:${upstream}`, observing]];
}

function databaseUnits(member: Member, { configuration, databases, duty }: MemberPlan): [string, Unit][] {
  if (duty === "none") return [];
  const { context } = member;
  const { rotate, minIntervalMs } = configuration.journal;
  const rotation = [rotate, minIntervalMs, configuration.timeZone];
  return [...databases].map(([name, path]) =>
    duty === "operational"
      ? [
          `rotate:${name}`,
          unit([path, ...rotation], (stop) =>
            whenThere(member.operational.get(name), (each) => runRotateJob(context, each, stop)),
          ),
        ]
      : [
          `integrate:${name}`,
          unit([path], (stop) => whenThere(member.mirrors.get(name), (each) => runIntegrateJob(member, each, stop))),
        ],
  );
}

function unit(facts: readonly unknown[], start: (stop: AbortSignal) => Promise<void>): Unit {
  return { fingerprint: JSON.stringify(facts), start };
}

async function whenThere<T>(part: T | undefined, run: (part: T) => Promise<void>): Promise<void> {
  if (part !== undefined) await run(part);
}
