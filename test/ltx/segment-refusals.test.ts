import { describe, expect, test } from "vitest";
import { MemorySource } from "../../src/ltx/byte-io.ts";
import { encodeHeader } from "../../src/ltx/header.ts";
import { lockBytePage } from "../../src/ltx/page-checksum.ts";
import { CHECKSUM_FLAG, toChecksum } from "../../src/ltx/position.ts";
import { SegmentDecoder } from "../../src/ltx/segment-decoder.ts";
import { SegmentEncoder } from "../../src/ltx/segment-encoder.ts";
import { SegmentError } from "../../src/ltx/segment-error.ts";
import { verifySegment } from "../../src/ltx/verify-segment.ts";
import {
  assemble,
  databaseChecksum,
  encodeSegment,
  headerOf,
  patterned,
  type RawFrame,
  type RawSegment,
  rawFrame,
  rawSegment,
  refusalOf,
  snapshotHeaderOf,
} from "./segment-spec.ts";

const pages = [1, 2, 3, 4].map((pgno) => ({ pgno, data: patterned(pgno, 512) }));
const [one, two, three, four] = pages.map(({ pgno, data }) => rawFrame(pgno, data)) as [
  RawFrame,
  RawFrame,
  RawFrame,
  RawFrame,
];
const change = rawSegment(encodeHeader(headerOf()), [two, four], CHECKSUM_FLAG | 7n);
const snapshot = rawSegment(encodeHeader(snapshotHeaderOf()), [one, two, three, four], databaseChecksum(pages));

/** The refusal of a segment whose fields are `changes` on top of those of `raw`; its file checksum is right. */
function refusalWith(raw: RawSegment, changes: Partial<RawSegment>): string {
  return verdict(assemble({ ...raw, ...changes }));
}

function verdict(bytes: Uint8Array): string {
  return refusalOf(() => verifySegment(new MemorySource(bytes)));
}

/** As {@link rawSegment} of a changed list of frames, with the index that fits them. */
function withFrames(raw: RawSegment, frames: readonly RawFrame[]): string {
  return verdict(assemble(rawSegment(raw.header, frames, raw.postApplyChecksum)));
}

describe("OK:", () => {
  test("the segments that the refusals below change are accepted, and are what the encoder writes", () => {
    expect(verdict(assemble(change))).toBe("none");
    expect(assemble(snapshot)).toEqual(
      encodeSegment({ header: snapshotHeaderOf(), pages, postApplyChecksum: databaseChecksum(pages) }),
    );
  });

  test("a segment of no pages that is not a snapshot", () => {
    expect(withFrames(change, [])).toBe("none");
  });
});

test("SEGMENT_TRUNCATED: a segment cut off anywhere", () => {
  const bytes = assemble(snapshot);
  for (let length = 0; length < bytes.length; length++) {
    expect(verdict(bytes.subarray(0, length))).toBe("SEGMENT_TRUNCATED");
  }
});

test("SEGMENT_TRUNCATED: a source that turns out shorter than its size", () => {
  const bytes = assemble(change);
  const half = new MemorySource(bytes.subarray(0, 120));
  const source = { size: bytes.length, read: half.read.bind(half) };
  expect(refusalOf(() => verifySegment(source))).toBe("SEGMENT_TRUNCATED");
});

test("SEGMENT_MAGIC: another file", () => {
  expect(verdict(Buffer.alloc(200, "SQLite format 3"))).toBe("SEGMENT_MAGIC");
});

test("SEGMENT_PAGE_FLAGS: a flag that the format does not have", () => {
  expect(withFrames(change, [{ ...two, flags: 3 }])).toBe("SEGMENT_PAGE_FLAGS");
  expect(withFrames(change, [{ ...two, pgno: 0, flags: 2 }])).toBe("SEGMENT_PAGE_FLAGS");
});

test("SEGMENT_PAGE_NUMBER: page 0 or a page beyond the database", () => {
  expect(withFrames(change, [{ ...two, pgno: 0 }])).toBe("SEGMENT_PAGE_NUMBER");
  expect(withFrames(change, [{ ...two, pgno: 5 }])).toBe("SEGMENT_PAGE_NUMBER");
  expect(withFrames(change, [{ ...two, pgno: 0xffff_ffff }])).toBe("SEGMENT_PAGE_NUMBER");
});

test("SEGMENT_PAGE_ORDER: a page twice or before its predecessor", () => {
  expect(withFrames(change, [two, two])).toBe("SEGMENT_PAGE_ORDER");
  expect(withFrames(change, [four, two])).toBe("SEGMENT_PAGE_ORDER");
  expect(withFrames(snapshot, [one, two, two])).toBe("SEGMENT_PAGE_ORDER");
});

test("SEGMENT_LOCK_PAGE: the lock-byte page", () => {
  const pgno = lockBytePage(65_536);
  const header = encodeHeader(headerOf({ pageSize: 65_536, commit: pgno + 1 }));
  const frame = rawFrame(pgno, new Uint8Array(65_536));
  expect(verdict(assemble(rawSegment(header, [frame], CHECKSUM_FLAG)))).toBe("SEGMENT_LOCK_PAGE");
});

describe("SEGMENT_COMPRESSION:", () => {
  const cases: Record<string, Partial<RawFrame>> = {
    "no compressed data": { size: 0, payload: new Uint8Array(0) },
    "more compressed data than a page can need": { size: 512 + 2 + 16 + 1, payload: new Uint8Array(531) },
    "a size of 4 GiB": { size: 0xffff_ffff },
    "data of half a page": { ...rawFrame(2, patterned(2, 256)), pgno: 2 },
    "data of two pages": { ...rawFrame(2, new Uint8Array(1024)), pgno: 2 },
    "a match before the beginning": { size: 4, payload: Uint8Array.of(0x10, 7, 2, 0) },
    "neither a size field nor an LZ4 frame": { flags: 0, size: null, payload: new Uint8Array(40) },
  };
  test.each(Object.entries(cases))("%s", (_, fields) => {
    expect(withFrames(change, [{ ...two, ...fields }])).toBe("SEGMENT_COMPRESSION");
  });
});

describe("SEGMENT_INDEX:", () => {
  const [first = [0, 0, 0], second = [0, 0, 0]] = change.index;
  const cases: Record<string, Partial<RawSegment>> = {
    "an entry is missing": { index: [first] },
    "there is one entry too many": { index: [first, second, [5, 9, 9]] },
    "another page number": { index: [[3, first[1], first[2]], second] },
    "another offset": { index: [first, [second[0], second[1] + 1, second[2]]] },
    "another length": { index: [first, [second[0], second[1], second[2] - 1]] },
    "entries in another order": { index: [second, first] },
    "another size": { indexSize: 1n },
    "a size of 2^64-1": { indexSize: 0xffff_ffff_ffff_ffffn },
  };
  test.each(Object.entries(cases))("%s", (_, fields) => {
    expect(refusalWith(change, fields)).toBe("SEGMENT_INDEX");
  });
});

test("SEGMENT_TRAILER: a database checksum that is none, or one that may not be there", () => {
  expect(refusalWith(change, { postApplyChecksum: 0n })).toBe("SEGMENT_TRAILER");
  expect(refusalWith(change, { postApplyChecksum: 7n })).toBe("SEGMENT_TRAILER");
  const untracked = encodeHeader(headerOf({ flags: 2, preApplyChecksum: toChecksum(0n) }));
  expect(refusalWith(change, { header: untracked })).toBe("SEGMENT_TRAILER");
  const deleted = rawSegment(encodeHeader(headerOf({ commit: 0 })), [], CHECKSUM_FLAG | 1n);
  expect(verdict(assemble(deleted))).toBe("SEGMENT_TRAILER");
});

test("SEGMENT_TRAILING_BYTES: anything after the trailer", () => {
  expect(refusalWith(change, { trailing: Uint8Array.of(0) })).toBe("SEGMENT_TRAILING_BYTES");
});

test("SEGMENT_CHECKSUM: any changed bit of the header's values, the pages or the database checksum", () => {
  expect(refusalWith(change, { fileChecksum: CHECKSUM_FLAG | 1n })).toBe("SEGMENT_CHECKSUM");
  expect(refusalWith(change, { fileChecksum: 0n })).toBe("SEGMENT_CHECKSUM");
  const bytes = assemble(change);
  for (const at of [35, 75, 99, bytes.length - 9, bytes.length - 1]) {
    const flipped = bytes.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    expect(verdict(flipped)).toBe("SEGMENT_CHECKSUM");
  }
});

test("SEGMENT_SNAPSHOT_INCOMPLETE: a snapshot without each of its pages", () => {
  for (const missing of snapshot.frames) {
    const frames = snapshot.frames.filter((frame) => frame !== missing);
    expect(withFrames(snapshot, frames)).toBe("SEGMENT_SNAPSHOT_INCOMPLETE");
  }
  expect(withFrames(snapshot, [])).toBe("SEGMENT_SNAPSHOT_INCOMPLETE");
});

test("SEGMENT_DATABASE_CHECKSUM: a snapshot whose pages are not the database that its trailer names", () => {
  expect(refusalWith(snapshot, { postApplyChecksum: CHECKSUM_FLAG | 1n })).toBe("SEGMENT_DATABASE_CHECKSUM");
});

test("a small file that claims to be huge costs no memory", () => {
  const claims = [
    assemble({ ...snapshot, header: encodeHeader(snapshotHeaderOf({ pageSize: 65_536, commit: 0xffff_fffe })) }),
    assemble({ ...change, frames: [{ ...two, size: 0xffff_ffff }] }),
    assemble({ ...change, indexSize: 0x7fff_ffff_ffff_ffffn }),
  ];
  for (const bytes of claims) {
    const before = process.memoryUsage().arrayBuffers;
    expect(verdict(bytes)).not.toBe("none");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(512 * 1024);
  }
});

test("an error names the file and the byte", () => {
  const bytes = assemble({ ...change, trailing: Uint8Array.of(1, 2) });
  const memory = new MemorySource(bytes);
  const source = { path: "journal/x.ltx", size: bytes.length, read: memory.read.bind(memory) };
  try {
    verifySegment(source);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(SegmentError);
    expect(error).toMatchObject({ code: "SEGMENT_TRAILING_BYTES", path: "journal/x.ltx", offset: bytes.length - 2 });
  }
});

describe("the decoder, used wrongly, says so:", () => {
  test("finish before the last page", () => {
    const decoder = new SegmentDecoder(new MemorySource(assemble(change)));
    decoder.next();
    expect(refusalOf(() => decoder.finish())).toBe("SEGMENT_USAGE");
  });

  test("any call after a refusal", () => {
    const decoder = new SegmentDecoder(new MemorySource(assemble(rawSegment(change.header, [four, two], 1n))));
    decoder.next();
    expect(refusalOf(() => decoder.next())).toBe("SEGMENT_PAGE_ORDER");
    expect(refusalOf(() => decoder.next())).toBe("SEGMENT_USAGE");
    expect(refusalOf(() => decoder.finish())).toBe("SEGMENT_USAGE");
  });
});

describe("the encoder refuses", () => {
  const discard = { write: () => {} };
  const data = new Uint8Array(512);

  test("a page of another size", () => {
    const encoder = new SegmentEncoder(discard, headerOf());
    expect(refusalOf(() => encoder.writePage(1, new Uint8Array(511)))).toBe("SEGMENT_USAGE");
  });

  test("pages out of order or beyond the database, and goes on with the right ones", () => {
    const encoder = new SegmentEncoder(discard, headerOf());
    encoder.writePage(2, data);
    expect(refusalOf(() => encoder.writePage(2, data))).toBe("SEGMENT_PAGE_ORDER");
    expect(refusalOf(() => encoder.writePage(5, data))).toBe("SEGMENT_PAGE_NUMBER");
    expect(refusalOf(() => encoder.writePage(2.5, data))).toBe("SEGMENT_PAGE_NUMBER");
    encoder.writePage(3, data);
    expect(encoder.finish(toChecksum(CHECKSUM_FLAG)).pages).toBe(2);
  });

  test("an incomplete snapshot, and one with the checksum of another database", () => {
    const encoder = new SegmentEncoder(discard, snapshotHeaderOf({ commit: 2 }));
    expect(refusalOf(() => encoder.writePage(2, data))).toBe("SEGMENT_SNAPSHOT_INCOMPLETE");
    encoder.writePage(1, data);
    expect(refusalOf(() => encoder.finish(encoder.pagesChecksum))).toBe("SEGMENT_SNAPSHOT_INCOMPLETE");
    encoder.writePage(2, data);
    expect(refusalOf(() => encoder.finish(toChecksum(CHECKSUM_FLAG)))).toBe("SEGMENT_DATABASE_CHECKSUM");
    expect(encoder.finish(encoder.pagesChecksum).pages).toBe(2);
  });

  test("everything after the end", () => {
    const encoder = new SegmentEncoder(discard, headerOf());
    encoder.finish(toChecksum(CHECKSUM_FLAG));
    expect(refusalOf(() => encoder.writePage(1, data))).toBe("SEGMENT_USAGE");
    expect(refusalOf(() => encoder.finish(toChecksum(CHECKSUM_FLAG)))).toBe("SEGMENT_USAGE");
  });

  test("everything after its sink has failed, and passes the sink's error on", () => {
    const full = new Error("no space left");
    const encoder = new SegmentEncoder(
      {
        write: () => {
          throw full;
        },
      },
      headerOf(),
    );
    encoder.writePage(1, data);
    expect(() => encoder.finish(toChecksum(CHECKSUM_FLAG))).toThrow(full);
    expect(refusalOf(() => encoder.finish(toChecksum(CHECKSUM_FLAG)))).toBe("SEGMENT_USAGE");
  });
});
