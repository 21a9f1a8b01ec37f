/**
 * The checksums of all pages of a database in a file of their own, so that another member can tell which pages differ.
 *
 * Format: 8 bytes a page, little-endian, page 1 first, as in the chunks of the page-checksum table; 0 for the lock-byte page.
 * Memory: one chunk while it is written, and while it is read what the table over it keeps.
 */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, fsync, openSync, renameSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { halvesToChecksum, pageChecksum } from "../ltx/page-checksum.ts";
import type { Checksum } from "../ltx/position.ts";
import { readFully } from "./database-files.ts";
import { CHUNK_BYTES, type ChecksumChunkStore, PAGES_PER_CHUNK } from "./page-checksum-table.ts";
import type { PageRun } from "./page-run.ts";
import { Turns } from "./turns.ts";
import { writeFully } from "./write-fully.ts";

export const BYTES_PER_PAGE_SUM = 8;

const READ_BYTES = 1 << 20;
const HIGH_FLAG = 0x8000_0000;
const fsyncInPool = promisify(fsync);

export interface PageSums {
  /** Size of the database in pages. */
  readonly pages: number;
  /** Database checksum: the exclusive or of all of them, with bit 63 set. */
  readonly checksum: Checksum;
  /** Of the file, 64 hexadecimal digits. */
  readonly sha256: string;
}

/**
 * Writes the checksums of a whole database, read from its pages, to `path`, which has them all then, or else does not exist.
 * @param onPage called for every page; what it throws is thrown.
 */
export async function writePageSums(path: string, run: PageRun, onPage: () => void = () => {}): Promise<PageSums> {
  const part = `${path}.part`;
  const fd = openSync(part, "w");
  try {
    const sums = await writeTo(fd, run, onPage);
    await fsyncInPool(fd);
    renameSync(part, path);
    return sums;
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

async function writeTo(fd: number, run: PageRun, onPage: () => void): Promise<PageSums> {
  const hash = createHash("sha256");
  const halves = new Uint32Array(2);
  const chunk = new Uint32Array(PAGES_PER_CHUNK * 2);
  const turns = new Turns();
  let [high, low, first] = [0, 0, 1];
  const writeUntil = (pgno: number) => {
    const bytes = new Uint8Array(chunk.buffer, 0, Math.min(CHUNK_BYTES, (pgno - first) * BYTES_PER_PAGE_SUM));
    hash.update(bytes);
    writeFully(fd, bytes, (first - 1) * BYTES_PER_PAGE_SUM);
    chunk.fill(0);
    first += PAGES_PER_CHUNK;
  };
  for (const { pgno, data } of run.pages()) {
    pageChecksum(pgno, data, halves);
    while (pgno >= first + PAGES_PER_CHUNK) writeUntil(first + PAGES_PER_CHUNK);
    const [pageHigh = 0, pageLow = 0] = halves;
    high ^= pageHigh;
    low ^= pageLow;
    chunk.set([pageLow, pageHigh], (pgno - first) * 2);
    onPage();
    await turns.spent(run.pageSize);
  }
  while (first <= run.pageCount) writeUntil(run.pageCount + 1);
  const checksum = halvesToChecksum((high | HIGH_FLAG) >>> 0, low >>> 0);
  return { pages: run.pageCount, checksum, sha256: hash.digest("hex") };
}

/** What the file holds, whoever wrote it; null when its size is none that such a file can have. */
export async function readPageSums(path: string): Promise<PageSums | null> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    if (size % BYTES_PER_PAGE_SUM !== 0) return null;
    const hash = createHash("sha256");
    const buffer = new Uint32Array(READ_BYTES / 4);
    let [high, low] = [0, 0];
    for (let at = 0; at < size; ) {
      const { bytesRead } = await handle.read(new Uint8Array(buffer.buffer), 0, READ_BYTES, at);
      if (bytesRead === 0 || bytesRead % BYTES_PER_PAGE_SUM !== 0) return null;
      hash.update(new Uint8Array(buffer.buffer, 0, bytesRead));
      for (let i = 0; i < bytesRead / 4; i += 2) {
        low ^= buffer[i] ?? 0;
        high ^= buffer[i + 1] ?? 0;
      }
      at += bytesRead;
    }
    const checksum = halvesToChecksum((high | HIGH_FLAG) >>> 0, low >>> 0);
    return { pages: size / BYTES_PER_PAGE_SUM, checksum, sha256: hash.digest("hex") };
  } finally {
    await handle.close();
  }
}

/**
 * Such a file as the store of a page-checksum table. What the table writes goes to another store, which the file's own
 * chunks are copied to first: then that one speaks of the database instead.
 */
export class PageSumsStore implements ChecksumChunkStore, Disposable {
  readonly #fd: number;
  readonly #target: ChecksumChunkStore | null;
  #isOpen = true;

  /** @param target null when nothing will be written. */
  constructor(path: string, target: ChecksumChunkStore | null = null) {
    this.#fd = openSync(path, "r");
    this.#target = target;
  }

  readChunk(chunk: number): Uint8Array | null {
    const bytes = new Uint8Array(CHUNK_BYTES);
    return readFully(this.#fd, bytes, chunk * CHUNK_BYTES) === 0 ? null : bytes;
  }

  writeChunk(chunk: number, bytes: Uint8Array): void {
    this.#target?.writeChunk(chunk, bytes);
  }

  deleteChunksFrom(from: number): void {
    this.#target?.deleteChunksFrom(from);
  }

  /** Makes the target hold what the file holds. Call it in the transaction in which the table is flushed, before that. */
  copyAll(): void {
    const target = this.#target;
    if (target === null) return;
    const chunks = Math.ceil(fstatSync(this.#fd).size / CHUNK_BYTES);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const bytes = this.readChunk(chunk) ?? new Uint8Array(CHUNK_BYTES);
      const known = target.readChunk(chunk);
      // Nearly all are the same: to compare costs less than to write.
      if (known === null || Buffer.compare(known, bytes) !== 0) target.writeChunk(chunk, bytes);
    }
    target.deleteChunksFrom(chunks);
  }

  /** Twice is harmless. */
  [Symbol.dispose](): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}
