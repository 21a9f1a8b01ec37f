/** Health, metrics and the page over HTTP: what the server needs of this member, and the unit that serves it. */
import type { HealthFacts, HealthSource } from "../http/health-source.ts";
import { startHttpServer } from "../http/http-server.ts";
import { programVersion } from "../program-version.ts";
import type { MemberStatus } from "../status/member-status.ts";
import { halts } from "./duty-errors.ts";
import { keepListening } from "./keep-listening.ts";
import type { Member } from "./member.ts";
import { MemberPage } from "./member-page.ts";
import { ownBackups } from "./own-backups.ts";
import type { Peer } from "./peer.ts";
import { emptyStatus } from "./peer-status.ts";
import { Remembered } from "./remembered.ts";

/** However many ask, status is put together so often at most. */
const STATUS_FRESH_MS = 200;
/** Thousands of series take a tenth of a second. */
const METRICS_FRESH_MS = 2_000;
const BACKUPS_FRESH_MS = 60_000;
/** Heartbeats of members that this one neither follows nor ships to are looked at every 30 s. */
const WATCHED_LIMIT_MS = 45_000;

/** Serves until `stop` is aborted; the daemon goes on without it while the address cannot be listened on. */
export async function serveHttp(member: Member, stop: AbortSignal): Promise<void> {
  const { context } = member;
  const { http } = context.self;
  if (http === null) return;
  const version = programVersion();
  const source = healthSource(member, version);
  const page = http.page ? new MemberPage(member, { members: source.members, version, names: http.names }) : null;
  const start = () => startHttpServer({ http, version, source, page, logger: context.logger });
  const again = "health and metrics can be asked for by HTTP again";
  await Promise.all([keepListening(context, { start, mayWait: true, again }, stop), page?.run(stop)]);
}

function healthSource(member: Member, version: string): HealthSource {
  const status = new Remembered(STATUS_FRESH_MS, () => member.ownStatus());
  const members = new Remembered(STATUS_FRESH_MS, () => membersKnown(member, status.value()));
  const backups = new Remembered(BACKUPS_FRESH_MS, () => ownBackups(member.context));
  const health = () => healthFacts(member, status.value());
  const render = async (databases: "each" | "none") => {
    const { writable, serves, ...facts } = health();
    return await member.metrics.render(
      {
        ...{ status: facts.status, version, backups: backups.value(), tally: member.context.tally },
        delaySeconds: member.context.self.delayMs / 1000,
        isWritable: serves === "operational" && [...writable.values()].every(Boolean),
        peers: new Map([...member.peers].map(([name, peer]) => [name, isAlive(member, peer)])),
        nowMs: member.context.nowMs(),
      },
      { databases },
    );
  };
  const metrics = {
    each: new Remembered(METRICS_FRESH_MS, () => render("each")),
    none: new Remembered(METRICS_FRESH_MS, () => render("none")),
  };
  return { health, members: () => members.value(), metrics: ({ databases }) => metrics[databases].value() };
}

/** What decides who may write is asked at the moment, and not remembered. */
function healthFacts({ context, roles, operational }: Member, status: MemberStatus): HealthFacts {
  const { duty, state } = roles;
  const serves = duty === "mirror" ? "mirror" : duty === state.role ? "operational" : "fenced";
  const writable = [...context.databases.keys()].map((name): [string, boolean] => [
    name,
    operational.get(name)?.isWritable === true,
  ]);
  const inconsistent = Object.entries(status.databases).filter(([, { error }]) => halts(error?.code ?? ""));
  return { status, serves, writable: new Map(writable), inconsistent: new Set(inconsistent.map(([name]) => name)) };
}

/** In the order of the configuration, by what was read of them last: nothing is fetched for who asks. */
function membersKnown(member: Member, own: MemberStatus): MemberStatus[] {
  return [...member.context.configuration.members.keys()].flatMap((name) => {
    if (name === own.member) return [own];
    const peer = member.peers.get(name);
    return peer === undefined ? [] : [statusKnown(member, peer)];
  });
}

function statusKnown(member: Member, peer: Peer): MemberStatus {
  const status = peer.status ?? emptyStatus(peer);
  if (isAlive(member, peer)) return { ...status, reachable: true };
  return { ...status, reachable: false, state: peer.heartbeatMovedAtMs === null ? "unknown" : "down" };
}

function isAlive(member: Member, peer: Peer): boolean {
  const isObserved = peer === member.upstream || member.shippers.has(peer.member.name);
  const movedAtMs = peer.heartbeatMovedAtMs;
  return isObserved ? peer.alive : movedAtMs !== null && member.context.nowMs() - movedAtMs < WATCHED_LIMIT_MS;
}
