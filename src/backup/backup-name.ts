/**
 * Names in a backup directory: `<database>@<member>-<UTC time>-<TXID>.db`, its sidecar with `.json` behind it, and for the
 * member's own state `_state@<member>-<UTC time>.db` and `_configuration@...yaml`. No database's name begins with `_`.
 */
import { formatTxid, parseTxid, type Txid } from "../ltx/position.ts";

/** Stands where the TXID of a backup would: of an operational database at a commit that ends no segment. */
const NO_POSITION = "unknown";
const NAME =
  /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})@([A-Za-z0-9_-]{1,32})-(\d{8}T\d{6}\.\d{3}Z)-([0-9a-f]{16}|unknown)\.db$/;
const STAMP = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\.(\d{3})Z$/;

export const SIDECAR_SUFFIX = ".json";

export interface BackupName {
  readonly database: string;
  readonly member: string;
  /** Milliseconds since 1970. */
  readonly takenAtMs: number;
  readonly txid: Txid | null;
}

export function formatBackupName({ database, member, takenAtMs, txid }: BackupName): string {
  return `${database}@${member}-${formatStamp(takenAtMs)}-${txid === null ? NO_POSITION : formatTxid(txid)}.db`;
}

/** Null for any name that {@link formatBackupName} does not make. */
export function parseBackupName(name: string): BackupName | null {
  const [, database, member, stamp = "", position = ""] = NAME.exec(name) ?? [];
  const takenAtMs = Date.parse(stamp.replace(STAMP, "$1-$2-$3T$4:$5:$6.$7Z"));
  if (database === undefined || member === undefined || Number.isNaN(takenAtMs)) return null;
  return { database, member, takenAtMs, txid: position === NO_POSITION ? null : parseTxid(position) };
}

/** `20260131T030000.123Z`: ISO 8601 without what shells and file systems may object to. */
export function formatStamp(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/[-:]/g, "");
}
