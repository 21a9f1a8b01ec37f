/**
 * Names in a journal directory, as LTX tools write them:
 * `<database>/<epoch>/ltx/<level>/<minTXID>-<maxTXID>.ltx`, epoch and TXIDs of 16 hexadecimal digits; level 0 holds
 * segments, level 9 snapshots (Litestream's numbers).
 */
import { formatTxid, parseTxid, type Txid } from "../ltx/position.ts";
import { JournalError } from "./journal-error.ts";

export type SegmentKind = "segment" | "snapshot";

/** Which file of the journal is meant. */
export interface SegmentRef {
  readonly database: string;
  readonly epoch: number;
  readonly kind: SegmentKind;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
}

/** `<min>-<max>.ltx`. */
export type SegmentName = string & { readonly __brand: "SegmentName" };

const LEVELS: Readonly<Record<SegmentKind, string>> = { segment: "0", snapshot: "9" };
const NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/;
const EPOCH = /^[0-9a-f]{16}$/;
const MAX_EPOCH = 0xffff_ffff;
/** A database's name is a directory's name on every member, and a part of names on remote stores. */
const DATABASE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

export function formatSegmentName(range: { minTxid: Txid; maxTxid: Txid }): SegmentName {
  return `${formatTxid(range.minTxid)}-${formatTxid(range.maxTxid)}.ltx` as SegmentName;
}

/** Null unless the name is exactly what {@link formatSegmentName} makes of 1 <= min <= max. */
export function parseSegmentName(name: string): { minTxid: Txid; maxTxid: Txid } | null {
  const [, minText = "", maxText = ""] = NAME.exec(name) ?? [];
  const minTxid = parseTxid(minText);
  const maxTxid = parseTxid(maxText);
  return minTxid === null || maxTxid === null || minTxid < 1n || minTxid > maxTxid ? null : { minTxid, maxTxid };
}

/** @throws JournalError JOURNAL_NAME_INVALID when the epoch is not 1 to 2^32-1. */
export function formatEpoch(epoch: number): string {
  if (!Number.isInteger(epoch) || epoch < 1 || epoch > MAX_EPOCH) throw invalid(`epoch ${epoch}`);
  return epoch.toString(16).padStart(16, "0");
}

export function parseEpoch(text: string): number | null {
  if (!EPOCH.test(text)) return null;
  const epoch = Number.parseInt(text, 16);
  return epoch < 1 || epoch > MAX_EPOCH ? null : epoch;
}

export function isDatabaseName(name: string): boolean {
  return DATABASE.test(name);
}

/**
 * `<database>/<epoch>/ltx/<level>`.
 * @throws JournalError JOURNAL_NAME_INVALID.
 */
export function formatLevelPath(ref: Pick<SegmentRef, "database" | "epoch" | "kind">): string {
  if (!isDatabaseName(ref.database)) throw invalid(`database name ${JSON.stringify(ref.database)}`);
  return `${ref.database}/${formatEpoch(ref.epoch)}/ltx/${LEVELS[ref.kind]}`;
}

/**
 * The file's path below the journal directory.
 * @throws JournalError JOURNAL_NAME_INVALID: also for a snapshot that does not begin at TXID 1, or an empty range.
 */
export function formatSegmentPath(ref: SegmentRef): string {
  const snapshotOffStart = ref.kind === "snapshot" && ref.minTxid !== 1n;
  if (ref.minTxid < 1n || ref.minTxid > ref.maxTxid || snapshotOffStart) {
    throw invalid(`${ref.kind} of TXIDs ${ref.minTxid} to ${ref.maxTxid}`);
  }
  return `${formatLevelPath(ref)}/${formatSegmentName(ref)}`;
}

/** The inverse of {@link formatSegmentPath}; null for any other text. */
export function parseSegmentPath(path: string): SegmentRef | null {
  const [database = "", epochText = "", ltx, level, name = "", ...rest] = path.split("/");
  const epoch = parseEpoch(epochText);
  const range = parseSegmentName(name);
  if (rest.length > 0 || ltx !== "ltx" || !isDatabaseName(database) || epoch === null || range === null) return null;
  if (level === LEVELS.segment) return { database, epoch, kind: "segment", ...range };
  return level === LEVELS.snapshot && range.minTxid === 1n ? { database, epoch, kind: "snapshot", ...range } : null;
}

function invalid(what: string): JournalError {
  return new JournalError("JOURNAL_NAME_INVALID", `no journal file can be named for ${what}`, {
    hint: "Database names are 1 to 100 letters, digits, `_`, `-` and `.`, and do not begin with `-` or `.`.",
  });
}
