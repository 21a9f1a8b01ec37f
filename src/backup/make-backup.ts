/**
 * Makes a backup of one database, beside a daemon or without one, and never through it: reading a database as raw pages is
 * long synchronous work, and belongs in a process of its own.
 *
 * Guarantee: a backup has its name only when it is whole, durable, checked, and shows one state that its sidecar names: on a
 * mirror a position whose database checksum the pages have. What an interrupted one leaves has a name that nobody takes for a
 * backup, and goes with the next one. Integration waits from the first page to the last, and not for the check.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statfsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { MemberConfiguration } from "../config/configuration.ts";
import { fsyncDirectory, makeDirectory, uniquePartPath, writeFileDurably } from "../durable-files.ts";
import type { DatabaseRow, StateStore } from "../journal/state-store.ts";
import { type Checksum, formatChecksum, formatTxid, type Position } from "../ltx/position.ts";
import { AppendSession } from "../sqlite/append-session.ts";
import type { Baseline } from "../sqlite/baseline.ts";
import type { MemberRole } from "../status/member-status.ts";
import { type KeepRule, pruneBackups, removeLeftovers } from "./backup-directory.ts";
import { BackupError, backupFileError } from "./backup-error.ts";
import { formatBackupName } from "./backup-name.ts";
import { type BackupSidecar, SIDECAR_VERSION, sidecarPath } from "./backup-sidecar.ts";
import { DatabaseLock } from "./database-lock.ts";
import { copyPages } from "./page-copy.ts";
import { type CheckKind, type CheckResult, checkWithSqlite, SIDE_FILES } from "./sqlite-check.ts";
import type { FileSums } from "./sum-file.ts";

/** What a backup is made with; the same for all databases of a run. */
export interface BackupRun {
  readonly mirror: string;
  readonly self: MemberConfiguration;
  readonly role: MemberRole;
  /** Opened for reading; the daemon may write to it meanwhile. */
  readonly store: StateStore;
  readonly directory: string;
  readonly keep: KeepRule;
  readonly check: CheckKind;
  /** How long to wait for integration; see {@link DatabaseLock.beginBackup}. */
  readonly waitMs: number | null | undefined;
  /** Version of Afterimage, and of the SQLite that checks. */
  readonly versions: { readonly afterimage: string; readonly sqlite: string };
  nowMs(): number;
  /** Ends the copying; the check that follows it cannot be interrupted. */
  readonly signal: AbortSignal;
  onProgress(progress: BackupProgress): void;
}

export interface BackupProgress {
  readonly database: string;
  readonly step: "waiting" | "copying" | "checking";
  /** Bytes copied. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface MadeBackup {
  readonly path: string;
  readonly sidecar: BackupSidecar;
  /** How long integration was held off. */
  readonly heldMs: number;
  /** Older backups that went. */
  readonly removed: readonly string[];
}

interface Copy extends FileSums {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly takenAtMs: number;
  readonly heldMs: number;
  /** What the state said of the database when it was read. */
  readonly row: DatabaseRow | null;
}

/**
 * Makes a backup of the database `name` at `path`.
 * @throws BackupError; DatabaseError of the database's files; the signal's reason. There is no backup then.
 */
export async function makeBackup(run: BackupRun, name: string, path: string): Promise<MadeBackup> {
  if (run.role === "mirror" && run.store.database(name)?.integrated == null) throw empty(name);
  using lock = DatabaseLock.open(run.self.state, name);
  run.onProgress({ database: name, step: "waiting", bytes: 0, totalBytes: 0 });
  await lock.beginBackup({ waitMs: run.waitMs, signal: run.signal });
  const prefix = `${name}@${run.self.name}-`;
  const part = uniquePartPath(join(run.directory, `${prefix}new.db`));
  try {
    makeDirectory(run.directory);
    removeLeftovers(run.directory, prefix);
    const copy = await copyToPart(run, lock, { name, path, part });
    return finish(run, { name, part, copy });
  } catch (error) {
    for (const suffix of ["", ...SIDE_FILES]) rmSync(part + suffix, { force: true });
    throw backupFileError(error, "write the backup", part);
  }
}

async function copyToPart(
  run: BackupRun,
  lock: DatabaseLock,
  { name, path, part }: { name: string; path: string; part: string },
): Promise<Copy> {
  const heldSince = performance.now();
  // Before the read transaction: what is captured between the two is then found among the segments.
  const row = run.store.database(name);
  const fd = openSync(part, "wx", 0o600);
  try {
    const session = await AppendSession.open(path);
    let copied: Omit<Copy, "heldMs" | "row">;
    try {
      const baseline = session.beginBaseline();
      try {
        copied = await copyBaseline(run, name, { baseline, fd, directory: dirname(part) });
      } finally {
        baseline.close();
      }
    } finally {
      session.close();
    }
    lock.freeDatabase();
    const heldMs = Math.round(performance.now() - heldSince);
    fsyncSync(fd);
    return { ...copied, heldMs, row };
  } finally {
    closeSync(fd);
  }
}

async function copyBaseline(
  run: BackupRun,
  name: string,
  { baseline, fd, directory }: { baseline: Baseline; fd: number; directory: string },
): Promise<Omit<Copy, "heldMs" | "row">> {
  const takenAtMs = run.nowMs();
  const { pageSize, pageCount } = baseline;
  const totalBytes = pageSize * pageCount;
  assertRoom(directory, totalBytes);
  const copied = await copyPages(fd, baseline, (bytes) => {
    run.signal.throwIfAborted();
    run.onProgress({ database: name, step: "copying", bytes, totalBytes });
  });
  return { ...copied, pageSize, pageCount, takenAtMs };
}

function finish(run: BackupRun, { name, part, copy }: { name: string; part: string; copy: Copy }): MadeBackup {
  const shown = findPosition(run, name, copy);
  run.onProgress({ database: name, step: "checking", bytes: copy.bytes, totalBytes: copy.bytes });
  const check = checkWithSqlite(part, run.check, copy);
  assertSound(check, part);
  const { takenAtMs, heldMs } = copy;
  const txid = shown?.position.txid ?? null;
  const path = join(run.directory, formatBackupName({ database: name, member: run.self.name, takenAtMs, txid }));
  const sidecar = sidecarOf(run, { name, file: basename(path), copy, shown, check });
  // The sidecar first: what has the name of a backup and a sidecar is a backup.
  writeFileDurably(sidecarPath(path), `${JSON.stringify(sidecar, null, 2)}\n`);
  renameSync(part, path);
  fsyncDirectory(run.directory);
  const owner = { mirror: run.mirror, member: run.self.name, database: name };
  return { path, sidecar, heldMs, removed: pruneBackups(run.directory, owner, run.keep, run.nowMs()) };
}

interface ShownPosition {
  readonly position: Position;
  readonly timeMs: number | null;
}

/**
 * Which position the pages show, proven by their checksum: that of the state, or of a later segment that had been
 * integrated, or captured, and not been recorded when the state was read. Null on an operational member, at a commit at
 * which no segment ends.
 */
function findPosition(run: BackupRun, name: string, { row, checksum }: Copy): ShownPosition | null {
  const integrated = row?.integrated ?? null;
  if (integrated?.checksum === checksum) return { position: integrated, timeMs: row?.integratedTimeMs ?? null };
  const found = run.store
    .segments(name, integrated === null ? {} : { epoch: integrated.epoch, fromTxid: integrated.txid })
    .findLast((segment) => segment.postApplyChecksum === checksum);
  if (found !== undefined) {
    return { position: { epoch: found.epoch, txid: found.maxTxid, checksum }, timeMs: found.timestampMs };
  }
  if (run.role === "operational") return null;
  throw notTheState(name, checksum, integrated);
}

function sidecarOf(
  run: BackupRun,
  made: { name: string; file: string; copy: Copy; shown: ShownPosition | null; check: CheckResult },
): BackupSidecar {
  const { name, file, copy, shown, check } = made;
  const timeMs = shown?.timeMs ?? null;
  return {
    version: SIDECAR_VERSION,
    file,
    mirror: run.mirror,
    member: run.self.name,
    database: name,
    role: run.role,
    position: shown === null ? null : { epoch: shown.position.epoch, txid: formatTxid(shown.position.txid) },
    checksum: formatChecksum(copy.checksum),
    time: timeMs === null ? null : new Date(timeMs).toISOString(),
    takenAt: new Date(copy.takenAtMs).toISOString(),
    bytes: copy.bytes,
    pageSize: copy.pageSize,
    pageCount: copy.pageCount,
    sha256: copy.sha256,
    check: { passed: check.passed, reason: check.reason },
    ...run.versions,
  };
}

function assertRoom(directory: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize >= bytes) return;
  throw new BackupError("BACKUP_NO_SPACE", `the backup needs ${bytes} bytes, and ${bavail * bsize} are free`, {
    path: directory,
    hint: "Free some space there, or keep fewer backups.",
  });
}

function assertSound({ problems }: CheckResult, path: string): void {
  if (problems.length === 0) return;
  throw new BackupError("BACKUP_INTEGRITY", `SQLite finds fault with the copy: ${problems.join("; ")}`, {
    path,
    hint: "The database itself has the fault: run PRAGMA integrity_check on the operational member; older backups are kept.",
  });
}

function empty(database: string): BackupError {
  return new BackupError("BACKUP_EMPTY", `this member has nothing of ${database} yet`, {
    hint: "Wait until it has integrated its first snapshot: see `afterimage status`.",
  });
}

function notTheState(database: string, found: Checksum, integrated: Position | null): BackupError {
  const expected = integrated === null ? "nothing" : formatChecksum(integrated.checksum);
  const message = `the pages of ${database} have the checksum ${formatChecksum(found)}; the state says ${expected}`;
  return new BackupError("BACKUP_CHECKSUM", message, {
    hint: "Run `afterimage verify`: something else changed the database, or the disk gave back other bytes.",
  });
}
