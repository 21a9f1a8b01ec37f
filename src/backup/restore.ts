/**
 * Restores a database into a new file by a plan.
 *
 * Guarantee: the file has its name only when it is whole, durable and checked: its database checksum is the one that the
 * journal has for the state, and SQLite finds it sound. Applications may write to it, and it belongs to no mirror. Nothing
 * that was there is replaced. Memory does not grow with the database: pages go from the files to their places.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { fsyncDirectory, uniquePartPath } from "../durable-files.ts";
import { FileSource } from "../journal/file-source.ts";
import type { Journal } from "../journal/journal.ts";
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { type Checksum, formatChecksum, NO_CHECKSUM, parseChecksum } from "../ltx/position.ts";
import { SegmentDecoder } from "../ltx/segment-decoder.ts";
import { Turns } from "../sqlite/turns.ts";
import { writeFully } from "../sqlite/write-fully.ts";
import { BackupError, backupFileError } from "./backup-error.ts";
import type { BackupSidecar } from "./backup-sidecar.ts";
import { PagePatch } from "./page-patch.ts";
import { RestoreError } from "./restore-error.ts";
import type { RestorePlan } from "./restore-plan.ts";
import { type CheckKind, type CheckResult, checkWithSqlite, SIDE_FILES } from "./sqlite-check.ts";
import { type FileSums, sumFile } from "./sum-file.ts";

export interface RestoreOptions {
  /** Null when the plan needs none. */
  readonly journal: Journal | null;
  /** Absolute path of a file that does not exist. */
  readonly to: string;
  readonly check: CheckKind;
  /** Ends it before the check by SQLite, which cannot be interrupted. */
  readonly signal: AbortSignal;
  onProgress(progress: RestoreProgress): void;
}

export interface RestoreProgress {
  readonly step: "restoring" | "summing" | "checking";
  /** Of `totalBytes`: those of the plan's files, or of the database. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface Restored extends FileSums {
  readonly check: CheckResult;
}

interface Image {
  readonly pageSize: number;
  readonly pageCount: number;
}

const COPY_BYTES = 1 << 20;

/**
 * @throws RestoreError FILE_EXISTS, RESTORE_SEGMENT, RESTORE_CHECKSUM, RESTORE_INTEGRITY; BackupError; SegmentError and
 * JournalError, which name the file; the signal's reason. Nothing is left then.
 */
export async function restore(plan: RestorePlan, options: RestoreOptions): Promise<Restored> {
  const { to } = options;
  assertNothingAt(to);
  const part = uniquePartPath(to);
  try {
    const image = await writeImage(plan, part, options);
    const restored = await check(plan, part, { image, options });
    assertNothingAt(to);
    renameSync(part, to);
    fsyncDirectory(dirname(to));
    return restored;
  } catch (error) {
    for (const suffix of ["", ...SIDE_FILES]) rmSync(part + suffix, { force: true });
    throw backupFileError(error, "restore the database", to);
  }
}

/**
 * Brings the copy of a plan's base that `path` is to the plan's state, in place, and checks it; for copies that nobody needs
 * if it fails.
 * @throws as {@link restore}.
 */
export async function bringForward(
  plan: RestorePlan,
  path: string,
  options: Omit<RestoreOptions, "to">,
): Promise<Restored> {
  try {
    const image = await applySegments(plan, path, { ...options, to: path });
    return await check(plan, path, { image, options: { ...options, to: path } });
  } catch (error) {
    throw backupFileError(error, "bring the copy forward", path);
  }
}

async function applySegments(plan: RestorePlan, path: string, options: RestoreOptions): Promise<Image> {
  const { base, segments } = plan;
  if (base.kind !== "backup") throw new RangeError("only a copy of a backup can be brought forward");
  const counter = new ReadCounter(plan.bytes, options);
  let image: Image = base.sidecar;
  const fd = openSync(path, "r+");
  try {
    for (const row of segments) {
      image = await applySegment(fd, { row, journal: options.journal, counter, pageSize: image.pageSize });
    }
    fsyncSync(fd);
    return image;
  } finally {
    closeSync(fd);
  }
}

/** @throws RestoreError FILE_EXISTS: also for a WAL that SQLite would take for this database's and replay. */
export function assertNothingAt(path: string): void {
  for (const suffix of ["", ...SIDE_FILES]) {
    if (!existsSync(path + suffix)) continue;
    throw new RestoreError("FILE_EXISTS", "there is a file where the database is to be restored to", {
      path: path + suffix,
      hint: "Name another file with --to, or move this one away.",
    });
  }
}

async function writeImage(plan: RestorePlan, part: string, options: RestoreOptions): Promise<Image> {
  const { base, segments } = plan;
  const { journal } = options;
  const counter = new ReadCounter(plan.bytes, options);
  const fd = openSync(part, "wx");
  try {
    let image: Image;
    if (base.kind === "backup") image = await copyBackup(fd, base, counter);
    else image = await applySegment(fd, { row: base.row, journal, counter, pageSize: null });
    for (const row of segments) {
      image = await applySegment(fd, { row, journal, counter, pageSize: image.pageSize });
    }
    fsyncSync(fd);
    return image;
  } finally {
    closeSync(fd);
  }
}

/** Bytes read of all files, for progress; looks for an interruption at each report. */
class ReadCounter {
  readonly #totalBytes: number;
  readonly #options: RestoreOptions;
  #done = 0;

  constructor(totalBytes: number, options: RestoreOptions) {
    this.#totalBytes = totalBytes;
    this.#options = options;
  }

  /** `bytes` of the file that is being read. */
  within(bytes: number): void {
    this.#options.signal.throwIfAborted();
    const done = Math.min(this.#done + bytes, this.#totalBytes);
    this.#options.onProgress({ step: "restoring", bytes: done, totalBytes: this.#totalBytes });
  }

  finished(bytes: number): void {
    this.#done += bytes;
    this.within(0);
  }
}

async function copyBackup(
  fd: number,
  { path, sidecar }: { path: string; sidecar: BackupSidecar },
  counter: ReadCounter,
): Promise<Image> {
  using source = new FileSource(path);
  const hash = createHash("sha256");
  const slice = Buffer.alloc(COPY_BYTES);
  const turns = new Turns();
  for (let position = 0; position < source.size; position += COPY_BYTES) {
    const read = slice.subarray(0, source.read(slice, position));
    hash.update(read);
    writeFully(fd, read, position);
    counter.within(position + read.length);
    await turns.spent(read.length);
  }
  counter.finished(source.size);
  if (hash.digest("hex") === sidecar.sha256) return sidecar;
  throw new BackupError("BACKUP_DAMAGED", "the backup is not what its sidecar says: its SHA-256 is another one", {
    path,
    hint: "Use another backup, or --from journal.",
  });
}

async function applySegment(
  fd: number,
  context: { row: SegmentRow; journal: Journal | null; counter: ReadCounter; pageSize: number | null },
): Promise<Image> {
  const { row, journal, counter } = context;
  if (journal === null) throw new RangeError("a plan with segments needs the journal");
  using source = journal.open(row);
  const decoder = new SegmentDecoder(source);
  const { pageSize, commit: pageCount, minTxid, maxTxid } = decoder.header;
  if (minTxid !== row.minTxid || maxTxid !== row.maxTxid || pageSize !== (context.pageSize ?? pageSize)) {
    throw differs(source.path);
  }
  const patch = new PagePatch(fd, pageSize);
  const turns = new Turns();
  let pages = 0;
  for (let page = decoder.next(); page !== null; page = decoder.next()) {
    patch.write(page.pgno, page.data);
    pages++;
    await turns.spent(pageSize);
    if (pages % 1024 === 0) counter.within(Math.floor((row.bytes * pages) / Math.max(row.pages, 1)));
  }
  patch.finish(pageCount);
  if (decoder.finish().postApplyChecksum !== row.postApplyChecksum) throw differs(source.path);
  counter.finished(row.bytes);
  return { pageSize, pageCount };
}

async function check(
  plan: RestorePlan,
  part: string,
  { image, options }: { image: Image; options: RestoreOptions },
): Promise<Restored> {
  const totalBytes = image.pageSize * image.pageCount;
  const sums = await sumFile(part, image.pageSize, (bytes) => {
    options.signal.throwIfAborted();
    options.onProgress({ step: "summing", bytes, totalBytes });
  });
  const expected = expectedChecksum(plan);
  if (expected !== NO_CHECKSUM && sums.checksum !== expected) {
    throw wrongPages(sums.checksum, expected);
  }
  options.onProgress({ step: "checking", bytes: totalBytes, totalBytes });
  const result = checkWithSqlite(part, options.check, image);
  if (result.problems.length === 0) return { ...sums, check: result };
  throw new RestoreError("RESTORE_INTEGRITY", `SQLite finds fault with it: ${result.problems.join("; ")}`, {
    hint: "The pages are those of the journal, so the database had the fault then: restore an earlier state.",
  });
}

function expectedChecksum({ point, base }: RestorePlan): Checksum {
  if (point !== null) return point.checksum;
  return (base.kind === "backup" ? parseChecksum(base.sidecar.checksum) : null) ?? NO_CHECKSUM;
}

function differs(path: string | undefined): RestoreError {
  return new RestoreError("RESTORE_SEGMENT", "a file of the journal is not what the catalogue says of it", {
    ...(path === undefined ? {} : { path }),
    hint: "Restore on another member, or from a backup behind it: --from with a backup's path.",
  });
}

function wrongPages(found: Checksum, expected: Checksum): RestoreError {
  const [is, should] = [formatChecksum(found), formatChecksum(expected)];
  return new RestoreError("RESTORE_CHECKSUM", `the restored pages have the checksum ${is} instead of ${should}`, {
    hint: "Run `afterimage verify` here, and restore with another base (--from) or on another member.",
  });
}
