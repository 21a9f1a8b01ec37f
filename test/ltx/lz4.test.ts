import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MemorySource } from "../../src/ltx/byte-io.ts";
import { ByteWindow } from "../../src/ltx/byte-window.ts";
import { compressBlock, decompressBlock, lz4Bound } from "../../src/ltx/lz4.ts";
import { readLz4Frame } from "../../src/ltx/lz4-frame.ts";
import { compressed, concat, patterned, refusalOf } from "./segment-spec.ts";

const runs = fc
  .array(fc.record({ bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }), times: fc.integer({ min: 1, max: 60 }) }), {
    minLength: 1,
    maxLength: 20,
  })
  .map((parts) => concat(parts.flatMap(({ bytes, times }) => Array.from({ length: times }, () => bytes))));

function decompress(block: Uint8Array, size: number): Uint8Array | null {
  const target = new Uint8Array(size);
  return decompressBlock(block, 0, block.length, target) === size ? target : null;
}

function readFrame(bytes: Uint8Array, size: number): { fault: string | null; data: Uint8Array; left: number } {
  const window = new ByteWindow(new MemorySource(bytes));
  const data = new Uint8Array(size);
  const fault = readLz4Frame(window, data);
  return { fault, data, left: window.remaining };
}

test("a block is decompressed to what was compressed, and is no longer than the bound", () => {
  fc.assert(
    fc.property(runs, (data) => {
      const block = compressed(data);
      expect(block.length).toBeLessThanOrEqual(lz4Bound(data.length));
      expect(decompress(block, data.length)).toEqual(data);
    }),
  );
});

test("random data of every page size stays within the bound", () => {
  for (let size = 512; size <= 65_536; size *= 2) {
    const data = crypto.getRandomValues(new Uint8Array(size));
    const block = compressed(data);
    expect(block.length).toBeLessThanOrEqual(lz4Bound(size));
    expect(decompress(block, size)).toEqual(data);
  }
});

test("equal data gives equal blocks, whatever was compressed before", () => {
  const data = patterned(3, 4096);
  const first = compressed(data);
  compressed(crypto.getRandomValues(new Uint8Array(65_536)));
  expect(compressed(data)).toEqual(first);
});

test("data shorter than any match, and longer than a block, have their limits", () => {
  for (let size = 0; size < 20; size++) {
    const data = new Uint8Array(size).fill(7);
    expect(decompress(compressed(data), size)).toEqual(data);
  }
  expect(() => compressBlock(new Uint8Array(65_537), new Uint8Array(70_000), 0)).toThrow(RangeError);
});

test("a block by hand: literals, an overlapping match, literals", () => {
  const block = Uint8Array.of(0x25, 1, 2, 2, 0, 0x10, 9);
  expect(decompress(block, 12)).toEqual(Uint8Array.of(1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 9));
});

describe("a malformed block is refused:", () => {
  const cases: Record<string, number[]> = {
    "nothing at all": [],
    "a literal length that does not end": [0xf0, 255],
    "more literals than bytes": [0x50, 1, 2],
    "more literals than fit": [0xd0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
    "half a distance": [0x10, 1, 1],
    "a distance of 0": [0x10, 1, 0, 0, 0x10, 1],
    "a distance before the beginning": [0x10, 1, 2, 0, 0x10, 1],
    "a match length that does not end": [0x1f, 1, 1, 0, 255],
    "a match longer than fits": [0x1f, 1, 1, 0, 200, 0x10, 1],
    "a match at the end": [0x14, 1, 1, 0],
  };
  test.each(Object.entries(cases))("%s", (_, bytes) => {
    expect(decompressBlock(Uint8Array.from(bytes), 0, bytes.length, new Uint8Array(12))).toBe(-1);
  });
});

test("arbitrary bytes never write outside the target and always come to an end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const backing = new Uint8Array(768).fill(0xee);
      const end = decompressBlock(bytes, 0, bytes.length, backing.subarray(128, 640));
      expect(end).toBeLessThanOrEqual(512);
      expect(backing.subarray(0, 128).every((byte) => byte === 0xee)).toBe(true);
      expect(backing.subarray(640).every((byte) => byte === 0xee)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

describe("an LZ4 frame of a page", () => {
  const magic = [0x04, 0x22, 0x4d, 0x18];
  const literals = [0x40, 1, 2, 3, 4];
  const stored = (bytes: number[]) => [bytes.length, 0, 0, 0x80, ...bytes];
  const block = (bytes: number[]) => [bytes.length, 0, 0, 0, ...bytes];
  const end = [0, 0, 0, 0];

  const accepted: Record<string, number[]> = {
    "of one compressed block": [...magic, 0x60, 0x40, 0, ...block(literals), ...end],
    "of one stored block": [...magic, 0x60, 0x40, 0, ...stored([1, 2, 3, 4]), ...end],
    "of two blocks": [...magic, 0x60, 0x40, 0, ...stored([1, 2]), ...stored([3, 4]), ...end],
    "with all its optional fields": [
      ...[...magic, 0x7c, 0x40, 4, 0, 0, 0, 0, 0, 0, 0, 0],
      ...[...block(literals), 9, 9, 9, 9, ...end, 8, 8, 8, 8],
    ],
  };
  test.each(Object.entries(accepted))("%s is read to its end", (_, bytes) => {
    expect(readFrame(Uint8Array.from([...bytes, 77]), 4)).toEqual({
      fault: null,
      data: Uint8Array.of(1, 2, 3, 4),
      left: 1,
    });
  });

  const refused: Record<string, number[]> = {
    "without the magic": [1, 2, 3, 4, 0x60, 0x40, 0, ...end],
    "of another version": [...magic, 0xa0, 0x40, 0, ...block(literals), ...end],
    "with a dictionary": [...magic, 0x61, 0x40, 0, ...block(literals), ...end],
    "that is too short": [...magic, 0x60, 0x40, 0, ...stored([1, 2, 3]), ...end],
    "that is too long": [...magic, 0x60, 0x40, 0, ...stored([1, 2, 3, 4, 5]), ...end],
    "with an empty stored block": [...magic, 0x60, 0x40, 0, 0, 0, 0, 0x80, ...stored([1, 2, 3, 4]), ...end],
    "with a block larger than a page can need": [...magic, 0x60, 0x40, 0, 255, 255, 255, 0x7f],
    "with a malformed block": [...magic, 0x60, 0x40, 0, ...block([0x40, 1]), ...end],
  };
  test.each(Object.entries(refused))("%s is refused", (_, bytes) => {
    expect(readFrame(Uint8Array.from(bytes), 4).fault).toBeTypeOf("string");
  });

  test("that is cut off is truncated", () => {
    const whole = Uint8Array.from([...magic, 0x64, 0x40, 0, ...block(literals), ...end, 8, 8, 8, 8]);
    for (let length = 0; length < whole.length; length++) {
      expect(refusalOf(() => readFrame(whole.subarray(0, length), 4))).toBe("SEGMENT_TRUNCATED");
    }
  });
});
