/** Ways to spoil a segment: changes of the file's bytes, and changes of its fields under a file checksum that is right again. */
import { encodeHeader } from "../../src/ltx/header.ts";
import { decompressBlock } from "../../src/ltx/lz4.ts";
import { lockBytePage } from "../../src/ltx/page-checksum.ts";
import { CHECKSUM_FLAG, toChecksum, toTxid } from "../../src/ltx/position.ts";
import {
  compressed,
  concat,
  databaseChecksum,
  headerOf,
  patterned,
  type RawFrame,
  type RawSegment,
  rawFrame,
  rawSegment,
  snapshotHeaderOf,
} from "./segment-spec.ts";

/** A small deterministic generator (xorshift32); only tests use it. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** An integer from 0 to `bound` - 1. */
  below(bound: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % bound;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.below(256));
  }
}

const SMALL_LOCK_PAGE = lockBytePage(512);
const UNTRACKED = { flags: 2, preApplyChecksum: toChecksum(0n) };

/** Valid segments of every kind, most of them small. */
export function baseSegments(): RawSegment[] {
  const frames = (pageSize: number, ...pgnos: number[]) =>
    pgnos.map((pgno) => rawFrame(pgno, patterned(pgno, pageSize)));
  const snapshotOf = (pageSize: number, pgnos: number[], frame = rawFrame) => {
    const pages = pgnos.map((pgno) => ({ pgno, data: patterned(pgno, pageSize) }));
    const header = encodeHeader(snapshotHeaderOf({ pageSize, commit: pgnos.length }));
    const list = pages.map(({ pgno, data }) => frame(pgno, data));
    return rawSegment(header, list, databaseChecksum(pages));
  };
  const lockPage = lockBytePage(65_536);
  const small = [
    snapshotOf(512, [1, 2, 3, 4, 5, 6]),
    snapshotOf(512, [1, 2, 3], frameWithoutSize),
    rawSegment(encodeHeader(headerOf({ commit: 300 })), frames(512, 1, 2, 128, 129, 300), CHECKSUM_FLAG | 5n),
    rawSegment(
      encodeHeader(headerOf({ commit: SMALL_LOCK_PAGE + 9 })),
      frames(512, 7, SMALL_LOCK_PAGE - 1, SMALL_LOCK_PAGE + 1),
      CHECKSUM_FLAG | 8n,
    ),
    rawSegment(encodeHeader(headerOf(UNTRACKED)), frames(512, 2, 3), 0n),
    rawSegment(encodeHeader(headerOf({ commit: 0 })), [], CHECKSUM_FLAG),
    rawSegment(encodeHeader(headerOf({ maxTxid: toTxid(99n), walOffset: 32n, walSalt1: 7 })), [], CHECKSUM_FLAG | 1n),
  ];
  const large = [
    rawSegment(encodeHeader(headerOf({ pageSize: 4096, commit: 9 })), frames(4096, 1, 9), CHECKSUM_FLAG | 9n),
    rawSegment(
      encodeHeader(headerOf({ pageSize: 65_536, commit: lockPage + 9 })),
      [lockPage - 1, lockPage + 1].map((pgno) => rawFrame(pgno, new Uint8Array(65_536))),
      CHECKSUM_FLAG | 3n,
    ),
  ];
  return [...small, ...small, ...large];
}

/** Changes bytes without looking at what they mean: bit flips, cuts, splices, insertions, runs of one value. */
export function mutateBytes(bytes: Uint8Array, other: Uint8Array, dice: Dice): Uint8Array {
  const at = dice.below(bytes.length);
  switch (dice.below(6)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return concat([bytes.subarray(0, at), other.subarray(dice.below(other.length))]);
    case 2:
      return concat([bytes.subarray(0, at), dice.bytes(1 + dice.below(20)), bytes.subarray(at)]);
    case 3:
      return concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + dice.below(20)))]);
    case 4:
      return bytes.slice().fill(dice.pick([0, 1, 0x7f, 0x80, 0xff]), at, at + 1 + dice.below(12));
    default:
      return withFlippedBits(bytes, dice);
  }
}

/** Changes one or two fields; the file checksum of what {@link assemble} makes of it is right. */
export function mutateFields(raw: RawSegment, dice: Dice): RawSegment {
  const once = mutateField(raw, dice);
  return dice.below(4) === 0 ? mutateField(once, dice) : once;
}

function mutateField(raw: RawSegment, dice: Dice): RawSegment {
  const number = () =>
    dice.pick([0, 1, 2, 3, 127, 128, 16_385, SMALL_LOCK_PAGE, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff, dice.below(600)]);
  switch (dice.below(8)) {
    case 0:
      return { ...raw, header: withFlippedBits(raw.header, dice) };
    case 1:
      return { ...raw, postApplyChecksum: dice.pick([0n, 1n, CHECKSUM_FLAG, CHECKSUM_FLAG | BigInt(number())]) };
    case 2:
      return { ...raw, indexSize: dice.pick([0n, BigInt(number()), 0xffff_ffff_ffff_ffffn]) };
    case 3:
      return { ...raw, trailing: dice.bytes(dice.below(40)) };
    case 4:
      return {
        ...raw,
        index: changedAt(raw.index, dice, ([a, b, c]) =>
          dice.pick([
            [number(), b, c],
            [a, number(), c],
            [a, b, number()],
          ]),
        ),
      };
    case 5:
      return reindexed(
        raw,
        raw.frames.filter(() => dice.below(3) > 0),
      );
    case 6:
      return reindexed(raw, shuffled(raw.frames, dice));
    default:
      return reindexed(
        raw,
        changedAt(raw.frames, dice, (frame) => mutateFrame(frame, number(), dice)),
      );
  }
}

function mutateFrame(frame: RawFrame, number: number, dice: Dice): RawFrame {
  const kind = dice.below(4);
  if (kind === 0) return { ...frame, pgno: number };
  if (kind === 1) return { ...frame, flags: dice.below(4) };
  if (kind === 2) return { ...frame, size: number };
  const payload = dice.below(2) === 0 ? withFlippedBits(frame.payload, dice) : dice.bytes(dice.below(700));
  const data = new Uint8Array(frame.data.length);
  // What the payload means now, so that the file checksum covers it and the decoder cannot rely on that one.
  decompressBlock(payload, 0, payload.length, data);
  return { ...frame, payload, size: frame.size === null ? null : payload.length, data };
}

/** A frame as older versions wrote it: the data is an LZ4 frame. */
function frameWithoutSize(pgno: number, data: Uint8Array): RawFrame {
  const block = compressed(data);
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, block.length, true);
  const payload = concat([Uint8Array.of(4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0), size, block, new Uint8Array(4)]);
  return { pgno, flags: 0, size: null, payload, data };
}

function withFlippedBits(bytes: Uint8Array, dice: Dice): Uint8Array {
  const flipped = bytes.slice();
  for (let count = 1 + dice.below(3); count > 0 && bytes.length > 0; count--) {
    const at = dice.below(bytes.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << dice.below(8));
  }
  return flipped;
}

function reindexed(raw: RawSegment, frames: readonly RawFrame[]): RawSegment {
  return { ...raw, frames, index: rawSegment(raw.header, frames, 0n).index };
}

function changedAt<T>(items: readonly T[], dice: Dice, change: (item: T) => T): readonly T[] {
  if (items.length === 0) return items;
  const at = dice.below(items.length);
  return items.map((item, i) => (i === at ? change(item) : item));
}

function shuffled<T>(items: readonly T[], dice: Dice): readonly T[] {
  const copy = [...items];
  if (copy.length > 0) copy.splice(dice.below(copy.length), 1, dice.pick(copy));
  return dice.below(2) === 0 ? copy : copy.reverse();
}
