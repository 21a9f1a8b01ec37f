/** Metrics of the member as a whole, and of the members that it deals with. */
import {
  type DatabaseStatus,
  type FollowerStatus,
  MEMBER_ROLES,
  MEMBER_STATES,
  type MemberStatus,
} from "../status/member-status.ts";
import { ageSeconds, largest, type MetricDefinition, type MetricFacts, sample, single } from "./metric-definition.ts";
import type { TallyName } from "./tally.ts";

export const MEMBER_METRICS: readonly MetricDefinition[] = [
  {
    name: "afterimage_info",
    type: "gauge",
    help: "1, with the mirror set, the member's type, and the version of the program.",
    labels: ["mirror", "type", "version"],
    samples: ({ status, version }) => [[[status.mirror, status.type, version], 1]],
  },
  single("afterimage_up", "1 while the daemon serves.", ({ status }) => status.reachable),
  oneHot("role", MEMBER_ROLES, ({ role }) => role),
  oneHot("state", MEMBER_STATES, ({ state }) => state),
  single("afterimage_epoch", "The newest epoch that the member knows of.", ({ status }) => status.epoch),
  single(
    "afterimage_writable",
    "1 when the member is operational and applications may write to all of its databases, as /primary says.",
    ({ isWritable }) => isWritable,
  ),
  single("afterimage_databases", "Databases that are served.", ({ status }) => databasesOf(status).length),
  single("afterimage_databases_fenced", "Databases that refuse writes.", ({ status }) =>
    countDatabases(status, ({ fenced }) => fenced),
  ),
  single("afterimage_databases_paused", "Databases whose integration an operator has paused.", ({ status }) =>
    countDatabases(status, ({ paused }) => paused),
  ),
  single("afterimage_databases_with_errors", "Databases that have an error.", ({ status }) =>
    countDatabases(status, ({ error }) => error !== null),
  ),
  single("afterimage_staleness_seconds_max", "The largest afterimage_staleness_seconds of all databases.", (facts) =>
    largest(databasesOf(facts.status).map(({ staleSeconds = null }) => staleSeconds)),
  ),
  single(
    "afterimage_databases_unproved",
    "Databases of which nothing is proved yet: they have no afterimage_staleness_seconds.",
    ({ status }) => countDatabases(status, ({ staleSeconds = null }) => staleSeconds === null),
  ),
  single(
    "afterimage_delay_seconds",
    "So many seconds a mirror holds segments back by its configuration; its staleness is no less.",
    ({ delaySeconds }) => delaySeconds,
  ),
  single(
    "afterimage_upstream_age_seconds",
    "Age of the newest that the member knows of the operational member; 0 on that member itself.",
    ({ status }) => status.upstreamAgeSeconds ?? null,
  ),
  {
    name: "afterimage_member_error",
    type: "gauge",
    help: "1 for each error of the member as a whole, such as DEPOSED or ISOLATED.",
    labels: ["code"],
    samples: ({ status }) => [...new Set(status.errors.map(({ code }) => code))].map((code) => [[code], 1]),
  },
  {
    name: "afterimage_stalled",
    type: "gauge",
    help: "Work that the watchdog has found standing still, by code: databases, or followers.",
    labels: ["code"],
    samples: ({ status }) => stalls(status).map(([code, count]) => [[code], count]),
  },
  single("afterimage_quarantined_files", "Refused files that are kept until somebody has looked.", ({ status }) =>
    databasesOf(status).reduce((sum, { quarantined }) => sum + quarantined, 0),
  ),
  {
    name: "afterimage_alert",
    type: "gauge",
    help: "1 for each alert of the member itself that is raised; docs/ALERTS.md lists them.",
    labels: ["alert", "level", "subject"],
    samples: ({ status }) => (status.alerts ?? []).map(({ code, level, subject }) => [[code, level, subject ?? ""], 1]),
  },
  {
    name: "afterimage_peer_up",
    type: "gauge",
    help: "1 when the heartbeat of another member moves.",
    labels: ["peer"],
    samples: ({ peers }) => [...peers].map(([peer, up]) => [[peer], Number(up)]),
  },
  {
    name: "afterimage_events_total",
    type: "counter",
    help: "Events since the daemon was started.",
    labels: ["level", "code"],
    samples: ({ tally }) => [...tally.of("events")].map(([event, count]) => [event.split(" "), count]),
  },
  ...journalMetrics(),
  ...followerMetrics(),
];

function oneHot<T extends string>(
  label: "role" | "state",
  values: readonly T[],
  pick: (status: MemberStatus) => T | null,
): MetricDefinition {
  return {
    name: `afterimage_${label}`,
    type: "gauge",
    help: `1 for the ${label} that the member has, 0 for the others.`,
    labels: [label],
    samples: ({ status }) => values.map((value) => [[value], Number(value === pick(status))]),
  };
}

function databasesOf(status: MemberStatus): DatabaseStatus[] {
  return Object.values(status.databases);
}

function countDatabases(status: MemberStatus, is: (database: DatabaseStatus) => boolean): number {
  return databasesOf(status).filter(is).length;
}

/** All codes always, so that an alert rule sees 0 before it sees 1. */
function stalls(status: MemberStatus): [string, number][] {
  const counts = new Map(
    ["CAPTURE_STALLED", "INTEGRATION_STALLED", "SHIPPING_STALLED", "WAL_NOT_SHORTENED"].map((code) => [code, 0]),
  );
  const databases = databasesOf(status);
  const views = [
    ...databases.map(({ error }) => error),
    ...databases.flatMap(({ warnings }) => warnings),
    ...Object.values(status.followers).map(({ error }) => error),
  ];
  for (const view of views) {
    const count = view === null ? undefined : counts.get(view.code);
    if (view !== null && count !== undefined) counts.set(view.code, count + 1);
  }
  return [...counts];
}

function journalMetrics(): MetricDefinition[] {
  type Journal = NonNullable<MemberStatus["journal"]>;
  const ofJournal = (name: MetricDefinition["name"], help: string, value: (journal: Journal) => number) =>
    single(name, help, ({ status }) => (status.journal === null ? null : value(status.journal)));
  return [
    ofJournal("afterimage_journal_bytes", "Bytes of all files in the journal.", ({ bytes }) => bytes),
    ofJournal("afterimage_journal_max_bytes", "Bytes that the journal may have.", ({ maxBytes }) => maxBytes),
    ofJournal("afterimage_journal_free_bytes", "Free on the journal's file system.", ({ freeBytes }) => freeBytes),
    ofJournal(
      "afterimage_journal_min_free_bytes",
      "Bytes that must stay free on the journal's file system.",
      ({ minFreeBytes }) => minFreeBytes,
    ),
    ofJournal(
      "afterimage_journal_followers_given_up",
      "Databases of followers that the journal no longer holds what comes next for.",
      ({ givenUp }) => givenUp.length,
    ),
    {
      name: "afterimage_journal_shortage",
      type: "gauge",
      help: "1 for each limit that the journal has come up against: SPOOL_FULL, DISK_LOW.",
      labels: ["code"],
      samples: ({ status }) =>
        ["SPOOL_FULL", "DISK_LOW"].map((code) => [[code], Number(status.journal?.shortages.includes(code) === true)]),
    },
  ];
}

/** By follower, not by follower and database: with a thousand databases that would be as many series for each follower. */
function followerMetrics(): MetricDefinition[] {
  const ofFollower = (
    name: MetricDefinition["name"],
    help: string,
    value: (follower: FollowerStatus, facts: MetricFacts) => number | boolean | null,
  ): MetricDefinition => ({
    ...{ name, help, type: "gauge", labels: ["follower"] },
    samples: (facts) =>
      Object.entries(facts.status.followers).flatMap(([follower, status]) => sample([follower], value(status, facts))),
  });
  const counted = (name: MetricDefinition["name"], help: string, tallied: TallyName): MetricDefinition => ({
    ...{ name, help, type: "counter", labels: ["follower"] },
    samples: ({ tally }) => [...tally.of(tallied)].map(([follower, count]) => [[follower], count]),
  });
  return [
    ofFollower(
      "afterimage_follower_up",
      "1 when the heartbeat of a member behind this one moves.",
      ({ reachable }) => reachable,
    ),
    ofFollower(
      "afterimage_follower_receipt_age_seconds",
      "Seconds since a member behind this one has last proved that it lives, and what it holds.",
      ({ heartbeat }, { nowMs }) => ageSeconds(heartbeat, nowMs),
    ),
    ofFollower(
      "afterimage_follower_lag_transactions",
      "Transactions that a member behind this one has not integrated, of the database that is furthest behind.",
      ({ databases }) => largest(Object.values(databases).map(({ lagTransactions }) => lagTransactions)),
    ),
    ofFollower(
      "afterimage_follower_lag_seconds",
      "Age of the oldest transaction that a member behind this one has not integrated, of all databases.",
      ({ databases }) => largest(Object.values(databases).map(({ lagSeconds }) => lagSeconds)),
    ),
    {
      name: "afterimage_follower_error",
      type: "gauge",
      help: "1 for a member that cannot be shipped to, with the code of the error.",
      labels: ["follower", "code"],
      samples: ({ status }) =>
        Object.entries(status.followers).flatMap(([follower, { error }]) =>
          error === null ? [] : sample([follower, error.code], 1),
        ),
    },
    counted("afterimage_shipped_files_total", "Files put into a follower's inbox since the start.", "shippedFiles"),
    counted("afterimage_shipped_bytes_total", "Bytes of these files.", "shippedBytes"),
  ];
}
