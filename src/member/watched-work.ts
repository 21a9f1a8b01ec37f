/** What the watchdog of a member watches: capture or integration of every database, the WALs, and shipping to every follower. */

import type { StateStore } from "../journal/state-store.ts";
import { formatTxid, NO_TXID } from "../ltx/position.ts";
import type { MemberContext } from "./member-context.ts";
import type { MirrorDuty } from "./mirror-duty.ts";
import type { OperationalDuty } from "./operational-duty.ts";
import { RotationTimes } from "./rotation-times.ts";
import type { Shipper } from "./shipper.ts";
import type { WatchedWork } from "./watchdog.ts";

/** A database is compared with its checksums, and a large file verified, faster than this on any disk in use. */
const SLOWEST_READ_BYTES_PER_MS = 10_000;
/** Slower lines are not worth shipping over. */
const SLOWEST_LINE_BYTES_PER_MS = 16;

interface Workers {
  readonly operational: ReadonlyMap<string, OperationalDuty>;
  readonly mirrors: ReadonlyMap<string, MirrorDuty>;
  readonly shippers: ReadonlyMap<string, Shipper>;
}

/** Returns a function that lists the work as it is now. */
export function watchedWork(context: MemberContext, workers: Workers): () => WatchedWork[] {
  const rotations = new RotationTimes();
  return () => {
    const { store, configuration } = context;
    const dueSinceMs = rotations.lastDueMs(configuration.journal.rotate, configuration.timeZone);
    return [
      ...[...workers.operational.values()].flatMap((duty) => [capture(store, duty, dueSinceMs), wal(duty)]),
      ...[...workers.mirrors.values()].flatMap((duty) => [integration(store, duty), wal(duty)]),
      ...[...workers.shippers.values()].map(shipping),
    ];
  };
}

function capture(store: StateStore, duty: OperationalDuty, dueSinceMs: number | null): WatchedWork {
  const { name, walBytes } = duty;
  const isDue = duty.isCaptureDue(dueSinceMs);
  // Of many idle databases nothing is read.
  const row = isDue ? store.database(name) : null;
  return {
    code: "CAPTURE_STALLED",
    level: "error",
    subject: name,
    database: name,
    isDue: isDue && (row?.error ?? null) === null,
    progress: `${row?.received?.txid ?? 0} ${duty.beats}`,
    allowanceMs: 0,
    message: "commits wait in the WAL and are not captured",
    hint: "Look into the daemon's log, and restart the daemon: it goes on where it was.",
    data: { walBytes },
  };
}

function integration(store: StateStore, duty: MirrorDuty): WatchedWork {
  const { name } = duty;
  const row = store.database(name);
  const bytes = (row?.pageCount ?? 0) * (row?.pageSize ?? 0);
  return {
    code: "INTEGRATION_STALLED",
    level: "error",
    subject: name,
    database: name,
    isDue: (row?.error ?? null) === null && duty.isIntegrationDue,
    progress: `${row?.integrated?.txid ?? 0} ${duty.beats}`,
    allowanceMs: duty.isChecking ? bytes / SLOWEST_READ_BYTES_PER_MS : 0,
    message: "segments wait in the journal and are not integrated",
    hint: "Look into the daemon's log, and restart the daemon: it goes on where it was.",
    data: { integrated: formatTxid(row?.integrated?.txid ?? NO_TXID) },
  };
}

function wal(duty: OperationalDuty | MirrorDuty): WatchedWork {
  const { name, walBytes } = duty;
  return {
    code: "WAL_NOT_SHORTENED",
    level: "warn",
    subject: name,
    database: name,
    isDue: duty.isWalHeld,
    progress: "",
    allowanceMs: 0,
    message: "the WAL cannot be shortened, and grows: somebody has been reading, or writing, for long",
    hint: "Let applications end their long read transactions; whatever holds the WAL has the database open.",
    data: { walBytes },
  };
}

function shipping(shipper: Shipper): WatchedWork {
  const { follower, bytesUnderWay } = shipper;
  return {
    code: "SHIPPING_STALLED",
    level: "error",
    subject: follower,
    database: null,
    isDue: shipper.isDue,
    progress: shipper.progress,
    allowanceMs: bytesUnderWay / SLOWEST_LINE_BYTES_PER_MS,
    message: `segments for ${follower} are not shipped`,
    hint: "Look into the daemon's log, and restart the daemon: it goes on where it was.",
    data: { follower },
  };
}
