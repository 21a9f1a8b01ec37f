/** The backups in a directory: which there are, which may go, and what interrupted ones have left. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fsyncDirectory, isUniquePartName, removeFile } from "../durable-files.ts";
import { errnoOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import { BackupError, backupFileError } from "./backup-error.ts";
import { parseBackupName, SIDECAR_SUFFIX } from "./backup-name.ts";
import { type BackupSidecar, readSidecar, sidecarPath } from "./backup-sidecar.ts";

/** Whose backups: a directory may hold those of several databases, members and mirror sets. */
export interface BackupOwner {
  readonly mirror: string;
  readonly member: string;
  readonly database: string;
}

export interface ListedBackup {
  readonly path: string;
  readonly database: string;
  readonly member: string;
  readonly takenAtMs: number;
  /** What lies beside it; null when it, or the backup, is missing or does not fit. */
  readonly sidecar: BackupSidecar | null;
  /** Why there is none; null when there is. */
  readonly fault: AfterimageError | null;
}

export interface KeepRule {
  /** So many of the newest are kept whatever their age. */
  readonly keep: number;
  /** Those that are younger are kept whatever their number; null: none for that. */
  readonly keepForMs: number | null;
}

/** Every backup in the directory, newest first; none when the directory does not exist. Contents are not looked into. */
export function listBackups(directory: string): ListedBackup[] {
  const names = new Set(
    fileNames(directory).map((name) => (name.endsWith(SIDECAR_SUFFIX) ? name.slice(0, -SIDECAR_SUFFIX.length) : name)),
  );
  const found = [...names].flatMap((name) => {
    const parsed = parseBackupName(name);
    return parsed === null ? [] : [{ ...parsed, ...sidecarOrFault(join(directory, name)) }];
  });
  return found.sort((a, b) => b.takenAtMs - a.takenAtMs || (a.path < b.path ? 1 : -1));
}

/** When `member` made its newest backup of each database that is there with its sidecar, by their names alone; milliseconds since 1970. */
export function newestBackups(directory: string, member: string): Map<string, number> {
  const names = new Set(fileNames(directory));
  const newest = new Map<string, number>();
  for (const name of names) {
    const backup = parseBackupName(name);
    if (backup === null || backup.member !== member || !names.has(`${name}${SIDECAR_SUFFIX}`)) continue;
    newest.set(backup.database, Math.max(backup.takenAtMs, newest.get(backup.database) ?? 0));
  }
  return newest;
}

/**
 * Removes the owner's backups that no rule keeps, and returns their paths. The newest `keep` whole ones always stay. A
 * sidecar without its backup goes when it is older than those; whatever else is not whole stays for somebody to look at.
 */
export function pruneBackups(directory: string, owner: BackupOwner, rule: KeepRule, nowMs: number): string[] {
  const own = listBackups(directory).filter((backup) => belongsTo(backup, owner));
  const oldestKept = own.filter(({ fault }) => fault === null)[rule.keep - 1];
  if (oldestKept === undefined) return [];
  const removed = own
    .slice(own.indexOf(oldestKept) + 1)
    .filter(({ takenAtMs }) => rule.keepForMs === null || nowMs - takenAtMs >= rule.keepForMs);
  for (const { path } of removed) {
    removeFile(path);
    // Last: without it nothing would say any more whose file that is.
    removeFile(sidecarPath(path));
  }
  if (removed.length > 0) fsyncDirectory(directory);
  return removed.map(({ path }) => path);
}

/** Removes part files of the owner's, with what SQLite left beside them. Only while no backup of the database runs. */
export function removeLeftovers(directory: string, prefix: string): void {
  for (const name of fileNames(directory)) {
    const part = name.replace(/-(wal|shm|journal)$/, "");
    if (name.startsWith(`.${prefix}`) && isUniquePartName(part)) rmSync(join(directory, name), { force: true });
  }
}

/** @throws BackupError BACKUP_IO */
export function fileNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw backupFileError(error, "list the backup directory", directory);
  }
}

function sidecarOrFault(path: string) {
  try {
    return { path, sidecar: readSidecar(path), fault: null };
  } catch (error) {
    const fault = error instanceof AfterimageError ? error : backupFileError(error, "read the sidecar", path);
    return { path, sidecar: null, fault };
  }
}

function belongsTo(backup: ListedBackup, owner: BackupOwner): boolean {
  if (backup.database !== owner.database || backup.member !== owner.member) return false;
  if (backup.sidecar === null) return backup.fault instanceof BackupError && isSidecarAlone(backup);
  return backup.sidecar.mirror === owner.mirror;
}

function isSidecarAlone({ fault, path }: ListedBackup): boolean {
  return fault?.code === "BACKUP_MISSING" && fault.path === path;
}
