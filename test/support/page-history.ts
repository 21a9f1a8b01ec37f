/** A model database and the page runs between its states, taken by comparing the file before and after each change. */
import { fstatSync, openSync, readSync } from "node:fs";
import Sqlite from "better-sqlite3";
import { halvesToChecksum, lockBytePage, pageChecksum } from "../../src/ltx/page-checksum.ts";
import type { Checksum } from "../../src/ltx/position.ts";
import { CHUNK_BYTES, type ChecksumChunkStore, PageChecksumTable } from "../../src/sqlite/page-checksum-table.ts";
import type { Page, PageRun } from "../../src/sqlite/page-run.ts";

/** A page run in memory with the database checksum after it. */
export interface MemoryRun extends PageRun {
  readonly checksum: Checksum;
}

export class PageHistory {
  readonly path: string;
  readonly database: Sqlite.Database;
  readonly pageSize: number;
  readonly #fd: number;
  #image: Uint8Array[];

  constructor(path: string, options: { pageSize?: number; autoVacuum?: "none" | "full" } = {}) {
    this.path = path;
    this.pageSize = options.pageSize ?? 4096;
    this.database = new Sqlite(path);
    this.database.pragma(`page_size = ${this.pageSize}`);
    this.database.pragma(`auto_vacuum = ${options.autoVacuum ?? "none"}`);
    this.database.pragma("journal_mode = WAL");
    this.database.pragma("synchronous = off");
    this.database.exec(
      "CREATE TABLE entry (id INTEGER PRIMARY KEY, body BLOB); CREATE INDEX entry_body ON entry (body)",
    );
    // Never closed: closing it would drop the locks of the connection above.
    this.#fd = openSync(path, "r");
    this.#image = this.#read();
  }

  /** The whole database as it is. */
  snapshot(): MemoryRun {
    return memoryRun(
      this.pageSize,
      this.#image.length,
      this.#image.map((data, i) => ({ pgno: i + 1, data })),
      this.#image,
    );
  }

  /** Runs `work` and returns the pages that it changed. */
  change(work: (database: Sqlite.Database) => void): MemoryRun {
    const before = this.#image;
    work(this.database);
    this.#image = this.#read();
    const pages: Page[] = [];
    this.#image.forEach((data, i) => {
      const old = before[i];
      if (old === undefined || Buffer.compare(old, data) !== 0) pages.push({ pgno: i + 1, data });
    });
    return memoryRun(this.pageSize, this.#image.length, pages, this.#image);
  }

  #read(): Uint8Array[] {
    this.database.pragma("wal_checkpoint(TRUNCATE)");
    const bytes = new Uint8Array(fstatSync(this.#fd).size);
    readSync(this.#fd, bytes, 0, bytes.length, 0);
    const pages: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += this.pageSize) pages.push(bytes.subarray(at, at + this.pageSize));
    return pages;
  }
}

/** The database checksum of a whole image. */
export function imageChecksum(image: readonly Uint8Array[], pageSize: number): Checksum {
  const sum = new Uint32Array(2);
  const one = new Uint32Array(2);
  image.forEach((data, i) => {
    if (i + 1 === lockBytePage(pageSize)) return;
    pageChecksum(i + 1, data, one);
    sum[0] = (sum[0] ?? 0) ^ (one[0] ?? 0);
    sum[1] = (sum[1] ?? 0) ^ (one[1] ?? 0);
  });
  return halvesToChecksum((sum[0] ?? 0) | 0x8000_0000, sum[1] ?? 0);
}

/** An empty table whose chunks live in memory. */
export function memoryTable(): PageChecksumTable {
  return new PageChecksumTable(new MemoryChunks());
}

/** Makes what is staged the committed table. */
export function commitTable(table: PageChecksumTable): void {
  table.flush();
  table.settle();
}

/** Random bytes that do not depend on the machine. */
export function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

function memoryRun(pageSize: number, pageCount: number, pages: Page[], image: readonly Uint8Array[]): MemoryRun {
  const own = pages.map(({ pgno, data }) => ({ pgno, data: data.slice() }));
  return { pageSize, pageCount, pages: () => own, checksum: imageChecksum(image, pageSize) };
}

class MemoryChunks implements ChecksumChunkStore {
  readonly #chunks = new Map<number, Uint8Array>();

  readChunk(chunk: number): Uint8Array | null {
    return this.#chunks.get(chunk) ?? null;
  }

  writeChunk(chunk: number, bytes: Uint8Array): void {
    this.#chunks.set(chunk, bytes.slice(0, CHUNK_BYTES));
  }

  deleteChunksFrom(from: number): void {
    for (const chunk of this.#chunks.keys()) if (chunk >= from) this.#chunks.delete(chunk);
  }
}
