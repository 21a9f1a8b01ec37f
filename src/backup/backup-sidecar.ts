/**
 * What lies beside every backup: which state of which database it is, and what proves that the file is still that.
 *
 * A sidecar is durable before its backup gets its name, so a file without one is not a backup. Times are ISO 8601 in UTC;
 * TXIDs and checksums are 16 hexadecimal digits.
 */
import { lstatSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { z } from "zod";
import { errnoOf } from "../errno.ts";
import { type Position, parseChecksum, parseTxid } from "../ltx/position.ts";
import { BackupError } from "./backup-error.ts";
import { SIDECAR_SUFFIX } from "./backup-name.ts";

/**
 * Version of the sidecar.
 * 1: the first.
 */
export const SIDECAR_VERSION = 1;

const hex16 = z.string().regex(/^[0-9a-f]{16}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const sidecarSchema = z.object({
  version: z.literal(SIDECAR_VERSION),
  /** Name of the backup, in the same directory. */
  file: z.string(),
  mirror: z.string(),
  member: z.string(),
  database: z.string(),
  /** Role of the member when it was made. */
  role: z.enum(["operational", "mirror"]),
  /** Null when the pages are not those of the end of any segment. */
  position: z.object({ epoch: z.int().min(1), txid: hex16 }).nullable(),
  /** Database checksum of the pages, as in a position. */
  checksum: hex16,
  /** When the operational member cut the segment that ends at the position. */
  time: z.iso.datetime().nullable(),
  takenAt: z.iso.datetime(),
  bytes: z.int(),
  pageSize: z.int(),
  pageCount: z.int(),
  sha256,
  /** Which of SQLite's checks it passed; `reason` says why there was none. */
  check: z.object({ passed: z.enum(["integrity_check", "quick_check"]).nullable(), reason: z.string().nullable() }),
  /** Versions of what made it. */
  afterimage: z.string(),
  sqlite: z.string(),
});

export type BackupSidecar = Readonly<z.infer<typeof sidecarSchema>>;

/** The position that a backup shows; null when it has none. */
export function positionOf({ position, checksum }: BackupSidecar): Position | null {
  const txid = parseTxid(position?.txid ?? "");
  const parsed = parseChecksum(checksum);
  return position === null || txid === null || parsed === null
    ? null
    : { epoch: position.epoch, txid, checksum: parsed };
}

export function sidecarPath(backupPath: string): string {
  return backupPath + SIDECAR_SUFFIX;
}

/** @throws BackupError BACKUP_MISSING when the backup or its sidecar is not there; BACKUP_DAMAGED when it is no sidecar, or the size differs. */
export function readSidecar(backupPath: string): BackupSidecar {
  const sidecar = parseSidecar(backupPath);
  const stat = lstatSync(backupPath, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) {
    throw new BackupError("BACKUP_MISSING", "there is a sidecar, and no backup", { path: backupPath });
  }
  if (sidecar.file !== basename(backupPath) || sidecar.bytes !== stat.size) {
    const message = `the sidecar speaks of ${sidecar.file} with ${sidecar.bytes} bytes; this file has ${stat.size}`;
    throw new BackupError("BACKUP_DAMAGED", message, { path: backupPath, hint: "Use another backup." });
  }
  return sidecar;
}

function parseSidecar(backupPath: string): BackupSidecar {
  const path = sidecarPath(backupPath);
  try {
    return sidecarSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") {
      throw new BackupError("BACKUP_MISSING", "there is no sidecar, so that nothing says what this file is", {
        path,
        cause,
        hint: "List the backups with `afterimage backup list`.",
      });
    }
    throw new BackupError("BACKUP_DAMAGED", "the sidecar cannot be read", { path, cause, hint: "Use another backup." });
  }
}
