/**
 * The wal-index hash tables and header as Afterimage writes them: what SQLite's walIndexAppend, walCleanupHash and
 * walIndexWriteHdr do (wal.c; docs/FORMAT.md, "wal-index as we write it").
 *
 * Call all of this under the write lock only. Readers of other processes look at the same bytes at the same time: entries
 * above the published frame are ignored by them, so tables come first and the header last. Writes go through the file,
 * which on Linux shares its pages with SQLite's memory map.
 */
import { fstatSync, readSync } from "node:fs";
import { DatabaseError } from "./database-error.ts";
import { Turns } from "./turns.ts";
import { encodeWalIndexHeader, WAL_INDEX_COPY_SIZE, WAL_INDEX_HEADER_SIZE, type WalIndexHeader } from "./wal-index.ts";
import { writeFully } from "./write-fully.ts";

const BLOCK_SIZE = 32_768;
/** Byte of each block where its 16-bit hash slots begin. */
const SLOTS_OFFSET = 16_384;
const SLOTS = 8192;
const FRAMES_PER_BLOCK = 4096;
/** Block 0 begins with the header, which takes the place of 34 entries. */
const FRAMES_IN_FIRST_BLOCK = FRAMES_PER_BLOCK - WAL_INDEX_HEADER_SIZE / 4;
const HASH_FACTOR = 383;
/** Above this many new entries one write of the block is cheaper than a write for each slot. */
const FEW_ENTRIES = 48;
/** Slots are written in aligned groups of 8 bytes, which the kernel copies in one move: a reader must not see half a slot. */
const SLOTS_PER_GROUP = 4;

interface Block {
  readonly offset: number;
  /** Byte in the block of its first page number. */
  readonly entriesOffset: number;
  readonly capacity: number;
  /** Frames in the blocks before this one. */
  readonly framesBefore: number;
}

/** Steps between which a process may die; for fault tests. */
export type HeaderStep = "header2" | "header1";

/** Enters frames `maxFrame + 1` and on, that hold the pages `pgnos` in this order, into the hash tables. */
export async function indexFrames(shmFd: number, maxFrame: number, pgnos: Uint32Array): Promise<void> {
  const turns = new Turns();
  let done = 0;
  while (done < pgnos.length) {
    const block = blockOfFrame(maxFrame + done + 1);
    const used = maxFrame + done - block.framesBefore;
    const count = Math.min(pgnos.length - done, block.capacity - used);
    indexInBlock(shmFd, block, used, pgnos.subarray(done, done + count));
    done += count;
    await turns.spent(BLOCK_SIZE);
  }
}

/** Makes what was appended visible: the second copy of the header first, as SQLite does, so that a torn pair is noticed. */
export function publishHeader(shmFd: number, header: WalIndexHeader, onStep: (step: HeaderStep) => void): void {
  const copy = encodeWalIndexHeader(header);
  writeFully(shmFd, copy, WAL_INDEX_COPY_SIZE);
  onStep("header2");
  writeFully(shmFd, copy, 0);
  onStep("header1");
}

function blockOfFrame(frame: number): Block {
  if (frame <= FRAMES_IN_FIRST_BLOCK) {
    return { offset: 0, entriesOffset: WAL_INDEX_HEADER_SIZE, capacity: FRAMES_IN_FIRST_BLOCK, framesBefore: 0 };
  }
  const number = 1 + Math.floor((frame - FRAMES_IN_FIRST_BLOCK - 1) / FRAMES_PER_BLOCK);
  return {
    offset: number * BLOCK_SIZE,
    entriesOffset: 0,
    capacity: FRAMES_PER_BLOCK,
    framesBefore: FRAMES_IN_FIRST_BLOCK + (number - 1) * FRAMES_PER_BLOCK,
  };
}

/** Adds entries after the `used` ones of a block. */
function indexInBlock(shmFd: number, block: Block, used: number, pgnos: Uint32Array): void {
  const bytes = new Uint8Array(BLOCK_SIZE);
  // The first entry of a block starts from zeroes: what an earlier generation of the WAL left there is void.
  if (used > 0) readSync(shmFd, bytes, 0, BLOCK_SIZE, block.offset);
  const entries = new Uint32Array(bytes.buffer, block.entriesOffset, block.capacity);
  const slots = new Uint16Array(bytes.buffer, SLOTS_OFFSET, SLOTS);
  const remnants = (entries[used] ?? 0) !== 0;
  if (remnants) clearAbove(entries, slots, used);
  const touched = addEntries(entries, slots, used, pgnos);
  if (used === 0 || remnants || pgnos.length > FEW_ENTRIES) {
    writeFully(shmFd, bytes.subarray(block.entriesOffset), block.offset + block.entriesOffset);
  } else {
    const from = block.entriesOffset + 4 * used;
    writeFully(shmFd, bytes.subarray(from, from + 4 * pgnos.length), block.offset + from);
    for (const slot of touched) {
      const at = SLOTS_OFFSET + 2 * (slot - (slot % SLOTS_PER_GROUP));
      writeFully(shmFd, bytes.subarray(at, at + 2 * SLOTS_PER_GROUP), block.offset + at);
    }
  }
  extendToBlockPair(shmFd, block.offset);
}

/** Forgets the entries of a writer that died before it published them. */
function clearAbove(entries: Uint32Array, slots: Uint16Array, used: number): void {
  entries.fill(0, used);
  for (let slot = 0; slot < SLOTS; slot++) if ((slots[slot] ?? 0) > used) slots[slot] = 0;
}

/** Returns the slots that were filled. */
function addEntries(entries: Uint32Array, slots: Uint16Array, used: number, pgnos: Uint32Array): number[] {
  const touched: number[] = [];
  for (let i = 0; i < pgnos.length; i++) {
    const pgno = pgnos[i] ?? 0;
    // The product exceeds 32 bits for large databases, and only its low 13 bits count.
    let slot = Math.imul(pgno, HASH_FACTOR) & (SLOTS - 1);
    for (let taken = used + i; slots[slot] !== 0; taken--) {
      if (taken === 0) throw damagedTable();
      slot = (slot + 1) & (SLOTS - 1);
    }
    entries[used + i] = pgno;
    slots[slot] = used + i + 1;
    touched.push(slot);
  }
  return touched;
}

/** More slots are taken than entries exist: going on would never find a free one. */
function damagedTable(): DatabaseError {
  return new DatabaseError("WAL_INDEX_INVALID", "a hash table of the wal-index is damaged", {
    hint: "Close every program that uses the database, so that the next one rebuilds the wal-index.",
  });
}

/** SQLite maps two blocks at a time where memory pages have 64 KiB, and fails on a file that ends between them. */
function extendToBlockPair(shmFd: number, blockOffset: number): void {
  const end = blockOffset + BLOCK_SIZE;
  const wanted = Math.ceil(end / (2 * BLOCK_SIZE)) * 2 * BLOCK_SIZE;
  if (blockOffset > 0 && fstatSync(shmFd).size < wanted) writeFully(shmFd, new Uint8Array(1), wanted - 1);
}
