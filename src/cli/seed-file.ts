/**
 * A copy of a database file, or of a snapshot, as a mirror's copy may begin with it: beside its place, in WAL mode, fenced, and
 * with nothing left in a WAL of its own. The file that it comes from is only read.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import SqliteDatabase from "better-sqlite3";
import type { JournalConfiguration } from "../config/configuration.ts";
import { makeDirectory } from "../durable-files.ts";
import { messageOf } from "../errno.ts";
import { FileSource } from "../journal/file-source.ts";
import { isSnapshot, readHeader } from "../ltx/header.ts";
import { NO_CHECKSUM } from "../ltx/position.ts";
import { assertFree } from "../member/free-space.ts";
import { mergeSegments } from "../member/merged-segments.ts";
import { MirrorDatabase } from "../sqlite/mirror-database.ts";
import { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import { FENCED } from "../sqlite/write-version.ts";
import { CliError } from "./cli-error.ts";

const SQLITE_MAGIC = "SQLite format 3\0";
const LTX_MAGIC = "LTX1";
/** Of the file format: the write version, and behind it the read version, which is 2 in WAL mode. */
const VERSIONS_OFFSET = 18;
const WAL_READ_VERSION = 2;
const COPY_BYTES = 4 * 1024 * 1024;

export interface SeedFileOptions {
  readonly journal: Pick<JournalConfiguration, "minFreeBytes">;
  onProgress(bytes: number, totalBytes: number): void;
}

/**
 * Makes the copy at `target`, in place of what an earlier attempt left there.
 * @throws CliError FILE_UNREADABLE, SEED_UNUSABLE; MemberError DISK_LOW
 */
export async function copySeed(source: string, target: string, options: SeedFileOptions): Promise<void> {
  const kind = kindOf(source);
  for (const suffix of ["", ...SIDE_FILES]) rmSync(`${target}${suffix}`, { force: true });
  makeDirectory(dirname(target));
  const bytes = sizeOf(source) + sizeOf(`${source}-wal`);
  assertFree(dirname(target), options.journal, { bytes: 2 * bytes, what: "the copy" });
  try {
    if (kind === "snapshot") await writeSnapshot(source, target);
    else await copyDatabase(source, target, options);
  } catch (error) {
    for (const suffix of ["", ...SIDE_FILES]) rmSync(`${target}${suffix}`, { force: true });
    throw error;
  }
}

const SIDE_FILES = ["-wal", "-shm", "-journal"] as const;

function kindOf(path: string): "database" | "snapshot" {
  const magic = Buffer.alloc(SQLITE_MAGIC.length);
  try {
    const fd = openSync(path, "r");
    try {
      readSync(fd, magic, 0, magic.length, 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new CliError("FILE_UNREADABLE", `cannot be read: ${messageOf(error)}`, { path, cause: error });
  }
  const text = magic.toString("latin1");
  if (text === SQLITE_MAGIC) return "database";
  if (text.startsWith(LTX_MAGIC)) return "snapshot";
  throw unusable(path, "it is neither an SQLite database nor a snapshot, or it is encrypted");
}

async function copyDatabase(source: string, target: string, options: SeedFileOptions): Promise<void> {
  await copyFile(source, target, options);
  // What was committed, or must be rolled back, may be there only.
  for (const suffix of ["-wal", "-journal"]) {
    if (existsSync(`${source}${suffix}`)) copyFileSync(`${source}${suffix}`, `${target}${suffix}`);
  }
  try {
    const database = new SqliteDatabase(target);
    try {
      database.pragma("wal_checkpoint(TRUNCATE)");
    } finally {
      database.close();
    }
  } catch (error) {
    throw unusable(source, `SQLite cannot read it: ${messageOf(error)}`);
  }
  for (const suffix of SIDE_FILES) rmSync(`${target}${suffix}`, { force: true });
  const fd = openSync(target, "r+");
  try {
    writeSync(fd, Uint8Array.of(FENCED, WAL_READ_VERSION), 0, 2, VERSIONS_OFFSET);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function copyFile(source: string, target: string, { onProgress }: SeedFileOptions): Promise<void> {
  await using from = await open(source, "r");
  await using to = await open(target, "wx");
  const { size } = await from.stat();
  const buffer = new Uint8Array(COPY_BYTES);
  for (let copied = 0; copied < size; ) {
    const { bytesRead } = await from.read(buffer, 0, buffer.length, copied);
    if (bytesRead === 0) break;
    for (let written = 0; written < bytesRead; ) {
      written += (await to.write(buffer, written, bytesRead - written, copied + written)).bytesWritten;
    }
    copied += bytesRead;
    onProgress(copied, size);
  }
}

async function writeSnapshot(source: string, target: string): Promise<void> {
  using file = new FileSource(source);
  const header = readHeader(file);
  if (!isSnapshot(header)) throw unusable(source, "it is a segment, which does not hold the whole database");
  const { run, ...proof } = mergeSegments([file], NO_CHECKSUM);
  const nowhere = { readChunk: () => null, writeChunk: () => undefined, deleteChunksFrom: () => undefined };
  await MirrorDatabase.create(target, run, { table: new PageChecksumTable(nowhere), ...proof });
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function unusable(path: string, why: string): CliError {
  return new CliError("SEED_UNUSABLE", `a copy cannot begin with this file: ${why}`, {
    path,
    hint: "Give a copy of the database, a backup, or a snapshot of a journal.",
  });
}
