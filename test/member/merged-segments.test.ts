import { randomFillSync } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MemorySource } from "../../src/ltx/byte-io.ts";
import { halvesToChecksum, pageChecksum } from "../../src/ltx/page-checksum.ts";
import { CHECKSUM_FLAG, NO_CHECKSUM, toChecksum } from "../../src/ltx/position.ts";
import { SegmentDecoder } from "../../src/ltx/segment-decoder.ts";
import { type MergedChange, mergeProven, mergeSegments } from "../../src/member/merged-segments.ts";
import { encodeSegment, headerOf, type PageSpec, patterned, refusalOf } from "../ltx/segment-spec.ts";

const CHECKSUM = toChecksum(CHECKSUM_FLAG | 7n);

/** A segment of a database of `commit` pages that has these pages, each with contents of its own. */
function segment(commit: number, pgnos: readonly number[], seed: number, pageSize = 512): Uint8Array {
  const pages = pgnos.map((pgno): PageSpec => ({ pgno, data: patterned(pgno, pageSize, seed) }));
  return encodeSegment({ header: headerOf({ commit, pageSize }), pages, postApplyChecksum: CHECKSUM });
}

function sourcesOf(segments: readonly Uint8Array[]): MemorySource[] {
  return segments.map((bytes) => new MemorySource(bytes));
}

/** Files that say when they are read after they were closed. */
class ClosableSource extends MemorySource {
  isOpen = true;

  override read(target: Uint8Array, position: number): number {
    if (!this.isOpen) throw new Error("read of a closed file");
    return super.read(target, position);
  }

  close(): void {
    this.isOpen = false;
  }
}

function opening(segments: readonly Uint8Array[]): (() => ClosableSource)[] {
  return segments.map((bytes) => () => new ClosableSource(bytes));
}

function contentsOf({ run }: MergedChange) {
  const halves = new Uint32Array(2);
  // One after another: what a page refers to is used again for the next.
  const pages = Array.from(run.pages(), ({ pgno, data, checksum = halves }) => {
    pageChecksum(pgno, data, halves);
    expect(halvesToChecksum(checksum[0] ?? 0, checksum[1] ?? 0)).toBe(halvesToChecksum(halves[0] ?? 0, halves[1] ?? 0));
    return { pgno, data: Buffer.from(data).toString("base64") };
  });
  return { pageSize: run.pageSize, pageCount: run.pageCount, pages };
}

const sequences = fc.constantFrom(512, 4096, 65_536).chain((pageSize) =>
  fc
    .array(
      fc.integer({ min: 1, max: 40 }).chain((commit) =>
        fc.record({
          commit: fc.constant(commit),
          pgnos: fc.uniqueArray(fc.integer({ min: 1, max: commit }), { maxLength: commit }),
        }),
      ),
      { minLength: 2, maxLength: 8 },
    )
    .map((each) =>
      each.map(({ commit, pgnos }, seed) =>
        segment(
          commit,
          pgnos.toSorted((a, b) => a - b),
          seed,
          pageSize,
        ),
      ),
    ),
);

test("segments read side by side give what they give when each is read whole, also when the database shrinks and grows", async () => {
  await fc.assert(
    fc.asyncProperty(sequences, async (segments) => {
      using merged = await mergeProven(opening(segments), CHECKSUM);
      expect(contentsOf(merged)).toEqual(contentsOf(mergeSegments(sourcesOf(segments), CHECKSUM)));
      expect(merged.expectedChecksum).toBe(CHECKSUM);
    }),
    { numRuns: 60 },
  );
});

test("of a page that was changed again only the newest image is looked at", async () => {
  const older = segment(4, [1, 2], 1);
  const newer = segment(4, [2, 3], 2);
  // The data of page 2, behind header, page 1 and the header of page 2.
  const damaged = older.slice();
  damaged.fill(0xff, damaged.length - 60, damaged.length - 56);
  const intact = contentsOf(await mergeProven(opening([older, newer]), CHECKSUM));
  expect(intact.pages.map(({ pgno }) => pgno)).toEqual([1, 2, 3]);
  expect(contentsOf(await mergeProven(opening([damaged, newer]), CHECKSUM))).toEqual(intact);
  expect(refusalOf(() => mergeSegments(sourcesOf([damaged, newer]), CHECKSUM))).not.toBe("none");
});

test("what is small is not held open, and all is closed in the end", async () => {
  const noise = (pgno: number): PageSpec => ({ pgno, data: randomFillSync(new Uint8Array(65_536)) });
  const pages = [1, 2, 3, 4].map(noise);
  const large = encodeSegment({ header: headerOf({ pageSize: 65_536 }), pages, postApplyChecksum: CHECKSUM });
  const sources: ClosableSource[] = [];
  const files = [large, segment(4, [2], 1, 65_536), segment(4, [3], 2, 65_536)].map((bytes) => () => {
    const source = new ClosableSource(bytes);
    sources.push(source);
    return source;
  });
  {
    using merged = await mergeProven(files, CHECKSUM);
    expect(sources.map(({ isOpen }) => isOpen)).toEqual([true, false, false]);
    expect(contentsOf(merged).pages.map(({ pgno }) => pgno)).toEqual([1, 2, 3, 4]);
  }
  expect(sources.map(({ isOpen }) => isOpen)).toEqual([false, false, false]);
  const broken = [...files, () => new ClosableSource(new Uint8Array(3))];
  await expect(mergeProven(broken, CHECKSUM)).rejects.toMatchObject({ code: "SEGMENT_TRUNCATED" });
  expect(sources.some(({ isOpen }) => isOpen)).toBe(false);
});

test("segments that track no database checksum are checked whole", async () => {
  const older = segment(4, [1, 2], 1);
  const damaged = older.slice();
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  const merging = mergeProven(opening([damaged, segment(4, [2], 2)]), NO_CHECKSUM);
  await expect(merging).rejects.toMatchObject({ code: "SEGMENT_CHECKSUM" });
});

test("a decoder that has passed a page over goes on with the next, and does not say that the segment is intact", () => {
  const bytes = segment(9, [2, 5, 7], 3);
  const decoder = new SegmentDecoder(new MemorySource(bytes));
  expect(decoder.advance()).toBe(2);
  expect(decoder.advance()).toBe(5);
  expect(Buffer.from(decoder.read().data)).toEqual(Buffer.from(patterned(5, 512, 3)));
  expect(decoder.next()?.pgno).toBe(7);
  expect(decoder.advance()).toBeNull();
  expect(decoder.next()).toBeNull();
  expect(refusalOf(() => decoder.finish())).toBe("SEGMENT_USAGE");
});

test("a page is read once, and after it was gone to", () => {
  const decoder = new SegmentDecoder(new MemorySource(segment(9, [2], 3)));
  expect(refusalOf(() => decoder.read())).toBe("SEGMENT_USAGE");
  expect(decoder.advance()).toBe(2);
  decoder.read();
  expect(refusalOf(() => decoder.read())).toBe("SEGMENT_USAGE");
});
