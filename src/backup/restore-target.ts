/** Which state a restore leads to: the last one in the journal, or in a backup, that is not beyond what is asked for. */
import type { SegmentCatalogue } from "../journal/segment-catalogue.ts";
import { type Checksum, formatTxid, type Txid } from "../ltx/position.ts";
import { RestoreError } from "./restore-error.ts";

/** What is asked for. Without an epoch: in the history that the newest epoch continues. */
export type RestoreTarget =
  | { readonly kind: "newest" }
  | { readonly kind: "txid"; readonly txid: Txid; readonly epoch: number | null }
  | { readonly kind: "time"; readonly timeMs: number };

/** A state that is there: the end of a segment or snapshot, or what a backup shows. */
export interface RestorePoint {
  readonly epoch: number;
  readonly txid: Txid;
  /** 0 when the journal does not track it. */
  readonly checksum: Checksum;
  /** When the operational member cut the segment that ends there; null when not known. */
  readonly timeMs: number | null;
}

const LAST_TXID = 0x7fff_ffff_ffff_ffffn as Txid;

/**
 * The state to restore; null when all that is here is newer than the target.
 * @param points of the backups.
 * @throws RestoreError RESTORE_NOTHING, RESTORE_TOO_NEW
 */
export function findTarget(
  catalogue: SegmentCatalogue | null,
  database: string,
  points: readonly RestorePoint[],
  target: RestoreTarget,
): RestorePoint | null {
  const inBackups = points.map(({ epoch }) => epoch);
  const all = [...new Set([...(catalogue?.epochs(database) ?? []), ...inBackups])].sort((a, b) => b - a);
  const epochs = target.kind === "txid" && target.epoch !== null ? all.filter((epoch) => epoch === target.epoch) : all;
  const last = (epoch: number, until: { txid: Txid; timeMs: number }) =>
    lastPoint(catalogue, database, points, { epoch, ...until });
  const [newestEpoch] = epochs;
  const newest =
    newestEpoch === undefined ? null : last(newestEpoch, { txid: LAST_TXID, timeMs: Number.MAX_SAFE_INTEGER });
  if (newest === null) throw nothing(database);
  if (target.kind === "newest") return newest;
  if (isBeyond(target, newest)) throw tooNew(target, newest);
  const timeMs = target.kind === "time" ? target.timeMs : Number.MAX_SAFE_INTEGER;
  let txid = target.kind === "txid" ? target.txid : LAST_TXID;
  for (const epoch of epochs) {
    const found = last(epoch, { txid, timeMs });
    if (found !== null) return found;
    // What an older epoch has beyond the beginning of the next one is not part of the history.
    const first = catalogue?.list(database, { epoch, kind: "segment", limit: 1 })[0];
    if (first !== undefined && first.minTxid <= txid) txid = (first.minTxid - 1n) as Txid;
  }
  return null;
}

function lastPoint(
  catalogue: SegmentCatalogue | null,
  database: string,
  points: readonly RestorePoint[],
  { epoch, txid, timeMs }: { epoch: number; txid: Txid; timeMs: number },
): RestorePoint | null {
  const row = catalogue?.lastUntil(database, epoch, { txid, timeMs }) ?? null;
  const inJournal =
    row === null ? [] : [{ epoch, txid: row.maxTxid, checksum: row.postApplyChecksum, timeMs: row.timestampMs }];
  const fitting = points.filter(
    (point) => point.epoch === epoch && point.txid <= txid && (point.timeMs ?? Number.POSITIVE_INFINITY) <= timeMs,
  );
  const [first, ...rest] = [...inJournal, ...fitting];
  return first === undefined ? null : rest.reduce((best, point) => (point.txid > best.txid ? point : best), first);
}

function isBeyond(target: RestoreTarget, newest: RestorePoint): boolean {
  if (target.kind === "txid") return target.txid > newest.txid;
  return target.kind === "time" && newest.timeMs !== null && target.timeMs > newest.timeMs;
}

/** As people write what they ask for. */
export function describeTarget(target: RestoreTarget): string {
  if (target.kind === "newest") return "the newest state";
  return target.kind === "txid"
    ? `transaction ${formatTxid(target.txid)}`
    : `the time ${new Date(target.timeMs).toISOString()}`;
}

/** `1:00000000000000b5 of 2026-01-31T12:00:00.000Z`. */
export function describePoint({ epoch, txid, timeMs }: RestorePoint): string {
  return `${epoch}:${formatTxid(txid)}${timeMs === null ? "" : ` of ${new Date(timeMs).toISOString()}`}`;
}

function nothing(database: string): RestoreError {
  return new RestoreError("RESTORE_NOTHING", `there is neither a journal nor a backup of ${database} here`, {
    hint: "Run it on a member that has them, or name a backup with --from.",
  });
}

function tooNew(target: RestoreTarget, newest: RestorePoint): RestoreError {
  const message = `${describeTarget(target)} is not here: the newest state is ${describePoint(newest)}`;
  return new RestoreError("RESTORE_TOO_NEW", message, {
    hint: "Leave --txid and --time away to restore the newest, or run it on a member that has received more.",
  });
}

export function tooOld(target: RestoreTarget, oldest: RestorePoint | null): RestoreError {
  const known = oldest === null ? "" : `: the oldest that can be restored is ${describePoint(oldest)}`;
  return new RestoreError("RESTORE_TOO_OLD", `${describeTarget(target)} is older than all that is kept${known}`, {
    hint: "See `journal.retention` and `backup.keep`; another member may keep more.",
  });
}
