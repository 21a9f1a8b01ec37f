/**
 * A mirror's first state: a fenced database file made of a whole snapshot.
 *
 * Guarantee: the path holds either nothing or the complete, durable, verified and fenced database. An interrupted creation
 * leaves a file beside it that the next one replaces.
 */
import { closeSync, existsSync, fsync, ftruncateSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { fsyncDirectory } from "../durable-files.ts";
import { lockBytePage } from "../ltx/page-checksum.ts";
import { type Checksum, formatChecksum } from "../ltx/position.ts";
import { AppendSession, type SessionOptions } from "./append-session.ts";
import { comparePages } from "./compare-pages.ts";
import { DatabaseError } from "./database-error.ts";
import { assertPage1, invalid, withWriteVersion } from "./frame-writer.ts";
import type { PageChecksumTable } from "./page-checksum-table.ts";
import type { PageRun } from "./page-run.ts";
import { stageChecksums } from "./stage-checksums.ts";
import { Turns } from "./turns.ts";
import { writeFully } from "./write-fully.ts";
import { FENCED } from "./write-version.ts";

/** A call into the system for each page would cost as much as decoding it. */
const WRITE_BYTES = 1024 * 1024;
const fsyncInPool = promisify(fsync);

/** What proves that a change is whole and leads where it should. */
export interface ChangeProof {
  /** Database checksum after the change; null when the source has none. */
  readonly expectedChecksum: Checksum | null;
  /** Called after the last page; throws when the source turns out to be damaged, for instance by its trailer. */
  readonly verifyEnd?: (() => void) | undefined;
}

export interface CreationOptions extends ChangeProof {
  /** Empty; gets the snapshot's checksums staged. The caller flushes and settles it, or discards it after an error. */
  readonly table: PageChecksumTable;
}

/**
 * Writes the database. @throws DatabaseError DATABASE_EXISTS, CHANGE_INVALID, INTEGRATION_CHECKSUM, what the snapshot
 * throws, and the file system's errors
 */
export async function createMirror(path: string, snapshot: PageRun, options: CreationOptions): Promise<void> {
  await prepareMirror(path, snapshot, options);
  finishMirror(path);
}

/** As {@link createMirror}, but for the name: nobody sees the database before {@link finishMirror}. */
export async function prepareMirror(path: string, snapshot: PageRun, options: CreationOptions): Promise<void> {
  assertNothingAt(path);
  const part = preparedPath(path);
  rmSync(part, { force: true });
  const fd = openSync(part, "wx");
  try {
    await writePages(fd, snapshot, options.table);
    assertProof(options.table, options);
    await fsyncInPool(fd);
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Gives what was prepared its name. @throws DatabaseError DATABASE_EXISTS, and the file system's errors */
export function finishMirror(path: string): void {
  assertNothingAt(path);
  renameSync(preparedPath(path), path);
  fsyncDirectory(dirname(path));
}

/** Removes what was prepared, if anything was. */
export function discardPrepared(path: string): void {
  rmSync(preparedPath(path), { force: true });
}

function preparedPath(path: string): string {
  return `${path}.afterimage-new`;
}

/**
 * Takes over a fenced database that already is at the path, as an interrupted creation may leave it: it must be the
 * snapshot, page for page. Stages its checksums as {@link createMirror} does.
 * @throws DatabaseError DATABASE_EXISTS when it is another database, and as {@link createMirror}
 */
export async function adoptMirror(
  path: string,
  snapshot: PageRun,
  options: CreationOptions & SessionOptions,
): Promise<void> {
  for (const _ of stageChecksums(options.table, snapshot));
  assertProof(options.table, options);
  const session = await AppendSession.open(path, options);
  try {
    await session.appender.exclusively(async (state) => {
      if (session.pageSize !== snapshot.pageSize || session.readWriteVersion(state) !== FENCED) throw exists(path);
      const image = session.beginBaseline();
      try {
        const { problems } = await comparePages(options.table, image);
        if (problems.length > 0) throw exists(path, problems.join("; "));
      } finally {
        image.close();
      }
    });
  } finally {
    session.close();
  }
}

/** @throws DatabaseError INTEGRATION_CHECKSUM, and what `verifyEnd` throws */
export function assertProof(table: PageChecksumTable, { expectedChecksum, verifyEnd }: ChangeProof): void {
  verifyEnd?.();
  if (expectedChecksum === null || table.checksum === expectedChecksum) return;
  const [found, expected] = [formatChecksum(table.checksum), formatChecksum(expectedChecksum)];
  throw new DatabaseError(
    "INTEGRATION_CHECKSUM",
    `the change would lead to the database checksum ${found}, the operational database had ${expected}`,
    { hint: "Nothing was changed. Fetch the segment again; if it is the same, rebuild this member." },
  );
}

async function writePages(fd: number, snapshot: PageRun, table: PageChecksumTable): Promise<void> {
  const { pageSize, pageCount } = snapshot;
  const turns = new Turns();
  const lockPage = lockBytePage(pageSize);
  const buffer = Buffer.allocUnsafeSlow(Math.max(pageSize, WRITE_BYTES));
  let buffered = 0;
  let written = 0;
  let next = 1;
  const flush = () => {
    writeFully(fd, buffer.subarray(0, buffered), written);
    written += buffered;
    buffered = 0;
  };
  for (const { pgno, data } of stageChecksums(table, snapshot)) {
    if (next === lockPage) {
      flush();
      written += pageSize;
      next++;
    }
    if (pgno !== next || pgno > pageCount)
      throw invalid(`page ${pgno} of the snapshot comes where page ${next} should`);
    if (data.length !== pageSize) throw invalid(`page ${pgno} has ${data.length} bytes instead of ${pageSize}`);
    if (pgno === 1) assertPage1(data, pageSize);
    if (buffered + pageSize > buffer.length) flush();
    buffer.set(pgno === 1 ? withWriteVersion(data, FENCED) : data, buffered);
    buffered += pageSize;
    next++;
    await turns.spent(pageSize);
  }
  flush();
  if (next === lockPage) next++;
  if (next !== pageCount + 1) throw invalid(`the snapshot ends before page ${next} of ${pageCount}`);
  ftruncateSync(fd, pageCount * pageSize);
}

function assertNothingAt(path: string): void {
  if (existsSync(path)) throw exists(path);
  for (const stale of [`${path}-wal`, `${path}-shm`, `${path}-journal`]) {
    // SQLite would take a WAL that was left behind for this database's and replay it.
    if (existsSync(stale)) throw exists(stale);
  }
}

function exists(path: string, why = "it is in the way of the mirror that is to be created"): DatabaseError {
  return new DatabaseError("DATABASE_EXISTS", `there already is a file that is not this mirror: ${why}`, {
    path,
    hint: "Move it away, or use `afterimage seed` to start from it.",
  });
}
