/**
 * A copy of what Afterimage itself remembers, `state.db` and the configuration, beside the backups of the databases.
 *
 * The copy of the state is consistent in itself. It does not belong to the backup of one database: a member that is restored
 * from it compares every page of its databases before it trusts one.
 */
import { createHash } from "node:crypto";
import { closeSync, copyFileSync, fsyncSync, openSync, readSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { fsyncDirectory, makeDirectory, removeFile, uniquePartPath, writeFileDurably } from "../durable-files.ts";
import { fileNames, type KeepRule } from "./backup-directory.ts";
import { backupFileError } from "./backup-error.ts";
import { formatStamp } from "./backup-name.ts";

const SLICE_BYTES = 1 << 20;
const BUSY_TIMEOUT_MS = 10_000;

export interface CopiedFile {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface StateCopy {
  readonly state: CopiedFile;
  readonly configuration: CopiedFile;
}

export interface StateSources {
  readonly mirror: string;
  readonly member: string;
  /** `state.db`. */
  readonly state: string;
  readonly configuration: string;
}

/** Copies both into `directory`, and removes the oldest copies of this member's beyond those that are kept. @throws BackupError BACKUP_IO, BACKUP_NO_SPACE */
export function copyState(sources: StateSources, directory: string, keep: KeepRule, nowMs: number): StateCopy {
  const stamp = `${sources.member}-${formatStamp(nowMs)}`;
  try {
    makeDirectory(directory);
    const state = place(join(directory, `_state@${stamp}.db`), (part) => vacuumInto(sources.state, part));
    const configuration = place(join(directory, `_configuration@${stamp}.yaml`), (part) =>
      copyFileSync(sources.configuration, part),
    );
    const { mirror, member } = sources;
    const document = { version: 1, mirror, member, takenAt: new Date(nowMs).toISOString(), state, configuration };
    writeFileDurably(join(directory, `_state@${stamp}.json`), `${JSON.stringify(document, null, 2)}\n`);
    pruneCopies(directory, sources.member, keep, nowMs);
    return { state, configuration };
  } catch (error) {
    throw backupFileError(error, "copy the state", directory);
  }
}

function place(path: string, write: (part: string) => void): CopiedFile {
  const part = uniquePartPath(path);
  try {
    write(part);
    const sum = syncAndHash(part);
    renameSync(part, path);
    return { file: basename(path), ...sum };
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

/** One read transaction: what the daemon writes meanwhile is not in it. */
function vacuumInto(source: string, target: string): void {
  const database = new SqliteDatabase(source, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  try {
    database.prepare("VACUUM INTO ?").run(target);
  } finally {
    database.close();
  }
}

function syncAndHash(path: string): { bytes: number; sha256: string } {
  const fd = openSync(path, "r+");
  try {
    fsyncSync(fd);
    const hash = createHash("sha256");
    const slice = Buffer.alloc(SLICE_BYTES);
    let bytes = 0;
    for (;;) {
      const count = readSync(fd, slice, 0, SLICE_BYTES, bytes);
      if (count === 0) return { bytes, sha256: hash.digest("hex") };
      hash.update(slice.subarray(0, count));
      bytes += count;
    }
  } finally {
    closeSync(fd);
  }
}

/** The copies of one moment have names that differ in the beginning and the end only. */
function pruneCopies(directory: string, member: string, { keep, keepForMs }: KeepRule, nowMs: number): void {
  const pattern = new RegExp(`^_(?:state|configuration)@${member}-(\\d{8}T\\d{6}\\.\\d{3}Z)\\.(?:db|yaml|json)$`);
  const stamped = fileNames(directory).flatMap((name) => {
    const stamp = pattern.exec(name)?.[1];
    return stamp === undefined ? [] : [{ name, stamp }];
  });
  const stamps = [...new Set(stamped.map(({ stamp }) => stamp))].sort().reverse();
  const oldestYoung = keepForMs === null ? null : formatStamp(nowMs - keepForMs);
  const old = new Set(stamps.slice(keep).filter((stamp) => oldestYoung === null || stamp < oldestYoung));
  for (const { name, stamp } of stamped) if (old.has(stamp)) removeFile(join(directory, name));
  fsyncDirectory(directory);
}
