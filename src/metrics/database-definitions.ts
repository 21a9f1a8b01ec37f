/** Metrics of each database. With a thousand of them, each of these is a thousand series: what few would look at is not here. */
import { integrationLag, transportLag } from "../status/database-lag.ts";
import { type DatabaseStatus, type PositionView, parsePositionView } from "../status/member-status.ts";
import { ageSeconds, type MetricDefinition, type MetricFacts, sample } from "./metric-definition.ts";
import type { TallyName } from "./tally.ts";

export const DATABASE_METRICS: readonly MetricDefinition[] = [
  ofDatabase("received_txid", "The last transaction in the member's journal.", ({ received }) => txidOf(received)),
  ofDatabase("integrated_txid", "The last transaction in the database.", ({ integrated }) => txidOf(integrated)),
  ofDatabase(
    "transport_lag_transactions",
    "Transactions that the operational member has cut, as far as this one knows, and this one has not received.",
    (database) => transportLag(database).transactions,
  ),
  ofDatabase(
    "transport_lag_seconds",
    "Seconds between the last transaction that the operational member has cut, as far as known, and the last received.",
    (database) => transportLag(database).seconds,
  ),
  ofDatabase(
    "integration_lag_transactions",
    "Transactions that are received and not integrated.",
    (database) => integrationLag(database).transactions,
  ),
  ofDatabase(
    "integration_lag_seconds",
    "Seconds between the last transaction that is received and the last that is integrated.",
    (database) => integrationLag(database).seconds,
  ),
  ofDatabase(
    "staleness_seconds",
    "Everything that the operational member had cut so many seconds ago is in the database; 0 on that member itself.",
    ({ staleSeconds = null }) => staleSeconds,
  ),
  ofDatabase("database_bytes", "Bytes of the database.", ({ pageSize, pageCount }) =>
    pageSize === null || pageCount === null ? null : pageSize * pageCount,
  ),
  ofDatabase("wal_bytes", "Bytes of the database's WAL that are in use.", ({ walBytes }) => walBytes),
  ofDatabase("verification_age_seconds", "Seconds since every page was last verified.", ({ verified }, { nowMs }) =>
    ageSeconds(verified?.time ?? null, nowMs),
  ),
  ofDatabase("verification_ok", "1 when the last verification found every page as it should be.", ({ verified }) =>
    verified === null ? null : verified.ok,
  ),
  {
    name: "afterimage_database_error",
    type: "gauge",
    help: "1 for a database that has an error, with its code.",
    labels: ["database", "code"],
    samples: ({ status }) =>
      Object.entries(status.databases).flatMap(([database, { error }]) =>
        error === null ? [] : sample([database, error.code], 1),
      ),
  },
  {
    name: "afterimage_backup_age_seconds",
    type: "gauge",
    help: "Seconds since this member made the newest backup that is in its backup directory.",
    labels: ["database"],
    samples: ({ backups, nowMs }) =>
      [...backups].map(([database, takenAtMs]) => [[database], Math.max(0, nowMs - takenAtMs) / 1000]),
  },
  counted("cut_segments_total", "Segments and first snapshots cut since the start.", "cutFiles"),
  counted("cut_bytes_total", "Bytes of the segments cut since the start.", "cutBytes"),
  counted("received_segments_total", "Segments and snapshots taken into the journal since the start.", "receivedFiles"),
  counted("received_bytes_total", "Bytes of the segments received since the start.", "receivedBytes"),
  counted("integrated_transactions_total", "Transactions integrated since the start.", "integratedTransactions"),
];

function ofDatabase(
  name: string,
  help: string,
  value: (database: DatabaseStatus, facts: MetricFacts) => number | boolean | null,
): MetricDefinition {
  return {
    name: `afterimage_${name}`,
    ...{ help, type: "gauge", labels: ["database"] },
    samples: (facts) =>
      Object.entries(facts.status.databases).flatMap(([database, status]) => sample([database], value(status, facts))),
  };
}

function counted(name: string, help: string, tallied: TallyName): MetricDefinition {
  return {
    name: `afterimage_${name}`,
    ...{ help, type: "counter", labels: ["database"] },
    samples: ({ tally }) => [...tally.of(tallied)].map(([database, count]) => [[database], count]),
  };
}

/** Exact up to 2^53; a Prometheus sample is a double. */
function txidOf(view: PositionView | null): number | null {
  const position = parsePositionView(view);
  return position === null ? null : Number(position.txid);
}
