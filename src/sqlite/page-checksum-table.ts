/**
 * The checksum of every page of one database, and of the database, at one position.
 *
 * Guarantee: what is read is the committed table overlaid with the staged changes; `flush` writes the staged chunks
 * through the store, and belongs in the same transaction as the position that they speak of; `discard` forgets them.
 * Memory: a bounded cache of clean chunks plus the chunks that the open change touches, 8 KiB for 1024 pages.
 *
 * Chunk format: 1024 entries of 8 bytes, little-endian; entry i of chunk c is the LTX checksum of page c * 1024 + i + 1,
 * 0 when the page is beyond the end of the database or is the lock-byte page.
 */
import { checksumToHalves, halvesToChecksum } from "../ltx/page-checksum.ts";
import { CHECKSUM_FLAG, type Checksum } from "../ltx/position.ts";

export const PAGES_PER_CHUNK = 1024;
export const CHUNK_BYTES = PAGES_PER_CHUNK * 8;

const CLEAN_CHUNKS_KEPT = 4096;

/** Where chunks live. Numbers start at 0. A chunk that was never written is null. */
export interface ChecksumChunkStore {
  readChunk(chunk: number): Uint8Array | null;
  writeChunk(chunk: number, bytes: Uint8Array): void;
  /** Forgets chunk `from` and all after it. */
  deleteChunksFrom(from: number): void;
}

/** Gives the checksums of a database's pages. */
export interface PageChecksums {
  /** Size of the database in pages. */
  readonly pageCount: number;
  /** Reads a page's checksum into `out` as [high, low]; [0, 0] beyond the end. `pgno` is 1-based. */
  get(pgno: number, out: Uint32Array): void;
}

export class PageChecksumTable implements PageChecksums {
  readonly #store: ChecksumChunkStore;
  readonly #clean = new Map<number, Uint32Array>();
  readonly #staged = new Map<number, Uint32Array>();
  readonly #frozen = new Set<FrozenChecksums>();
  #pageCount: number;
  #high: number;
  #low: number;
  #committed: { pageCount: number; high: number; low: number };

  /** `pageCount` and `checksum` are those of the stored table: 0 and {@link CHECKSUM_FLAG} for an empty one. */
  constructor(store: ChecksumChunkStore, pageCount = 0, checksum: Checksum = CHECKSUM_FLAG as Checksum) {
    this.#store = store;
    const halves = new Uint32Array(2);
    checksumToHalves(checksum, halves);
    const [high = 0, low = 0] = halves;
    this.#pageCount = pageCount;
    this.#high = high;
    this.#low = low;
    this.#committed = { pageCount, high, low };
  }

  /** Staged changes included. */
  get pageCount(): number {
    return this.#pageCount;
  }

  /** Database checksum, staged changes included. */
  get checksum(): Checksum {
    return halvesToChecksum(this.#high | 0x8000_0000, this.#low);
  }

  get(pgno: number, out: Uint32Array): void {
    readEntry(this.#entries(chunkOf(pgno)), pgno, out);
  }

  /** The table as it is now, whatever becomes of it. Call while nothing is staged, and close it in the end. */
  freeze(): FrozenChecksums {
    if (this.#staged.size > 0) throw new RangeError("changes are staged");
    const frozen: FrozenChecksums = new FrozenChecksums(this.#pageCount, {
      entries: (chunk) => this.#entries(chunk),
      onClose: () => this.#frozen.delete(frozen),
    });
    this.#frozen.add(frozen);
    return frozen;
  }

  /** Stages a page's checksum, given as halves; the page count grows when `pgno` is beyond it. */
  set(pgno: number, high: number, low: number): void {
    const entries = this.#stagedEntries(chunkOf(pgno));
    const at = ((pgno - 1) & (PAGES_PER_CHUNK - 1)) * 2;
    this.#high ^= high ^ (entries[at + 1] as number);
    this.#low ^= low ^ (entries[at] as number);
    entries[at + 1] = high;
    entries[at] = low;
    if (pgno > this.#pageCount) this.#pageCount = pgno;
  }

  /** Stages the database's new size: pages beyond it leave the table. Pages that were added must be set one by one. */
  resize(pageCount: number): void {
    for (let pgno = pageCount + 1; pgno <= this.#pageCount; pgno++) this.set(pgno, 0, 0);
    this.#pageCount = pageCount;
  }

  /** Writes staged chunks to the store. Call inside the transaction that records the position, then {@link settle}. */
  flush(): void {
    const chunks = Math.ceil(this.#pageCount / PAGES_PER_CHUNK);
    for (const [chunk, entries] of this.#staged) {
      if (chunk < chunks) this.#store.writeChunk(chunk, new Uint8Array(entries.buffer, 0, CHUNK_BYTES));
    }
    if (this.#pageCount < this.#committed.pageCount) this.#store.deleteChunksFrom(chunks);
  }

  /** Makes what was flushed the committed table. Call once the transaction has been committed. */
  settle(): void {
    const chunks = Math.ceil(this.#pageCount / PAGES_PER_CHUNK);
    for (const [chunk, entries] of this.#staged) this.#keepClean(chunk, entries);
    for (const chunk of this.#clean.keys()) if (chunk >= chunks) this.#clean.delete(chunk);
    this.#staged.clear();
    this.#committed = { pageCount: this.#pageCount, high: this.#high, low: this.#low };
  }

  /** Forgets staged changes, whether flushed or not. */
  discard(): void {
    this.#staged.clear();
    this.#pageCount = this.#committed.pageCount;
    this.#high = this.#committed.high;
    this.#low = this.#committed.low;
  }

  #entries(chunk: number): Uint32Array | null {
    const known = this.#staged.get(chunk) ?? this.#clean.get(chunk);
    if (known !== undefined) return known;
    const stored = this.#store.readChunk(chunk);
    if (stored === null) return null;
    const entries = new Uint32Array(PAGES_PER_CHUNK * 2);
    new Uint8Array(entries.buffer).set(stored.subarray(0, CHUNK_BYTES));
    this.#keepClean(chunk, entries);
    return entries;
  }

  #stagedEntries(chunk: number): Uint32Array {
    const staged = this.#staged.get(chunk);
    if (staged !== undefined) return staged;
    const before = this.#entries(chunk);
    for (const frozen of this.#frozen) frozen.keep(chunk, before);
    const copy = before?.slice() ?? new Uint32Array(PAGES_PER_CHUNK * 2);
    this.#staged.set(chunk, copy);
    return copy;
  }

  #keepClean(chunk: number, entries: Uint32Array): void {
    if (this.#clean.size >= CLEAN_CHUNKS_KEPT) {
      const [oldest] = this.#clean.keys();
      if (oldest !== undefined) this.#clean.delete(oldest);
    }
    this.#clean.set(chunk, entries);
  }
}

interface FrozenSource {
  entries(chunk: number): Uint32Array | null;
  onClose(): void;
}

/**
 * A table as it was when it was frozen. Pages are read in rising order: what the table changes behind the reader is not
 * kept, and of the rest 8 KiB for 1024 pages.
 */
export class FrozenChecksums implements PageChecksums {
  readonly pageCount: number;
  readonly #source: FrozenSource;
  /** Chunks that the table has changed since. */
  readonly #kept = new Map<number, Uint32Array | null>();
  #reading = 0;

  constructor(pageCount: number, source: FrozenSource) {
    this.pageCount = pageCount;
    this.#source = source;
  }

  get(pgno: number, out: Uint32Array): void {
    const chunk = chunkOf(pgno);
    for (; this.#reading < chunk; this.#reading++) this.#kept.delete(this.#reading);
    const kept = this.#kept.get(chunk);
    readEntry(kept === undefined ? this.#source.entries(chunk) : kept, pgno, out);
  }

  /** The chunk is about to change. */
  keep(chunk: number, entries: Uint32Array | null): void {
    if (chunk >= this.#reading && !this.#kept.has(chunk)) this.#kept.set(chunk, entries);
  }

  close(): void {
    this.#kept.clear();
    this.#source.onClose();
  }
}

function chunkOf(pgno: number): number {
  return (pgno - 1) >>> 10;
}

function readEntry(entries: Uint32Array | null, pgno: number, out: Uint32Array): void {
  const at = ((pgno - 1) & (PAGES_PER_CHUNK - 1)) * 2;
  out[0] = entries?.[at + 1] ?? 0;
  out[1] = entries?.[at] ?? 0;
}
