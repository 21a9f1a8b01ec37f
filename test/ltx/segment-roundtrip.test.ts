import fc from "fast-check";
import { expect, test } from "vitest";
import { MemorySource } from "../../src/ltx/byte-io.ts";
import { HEADER_FLAG_NO_CHECKSUM } from "../../src/ltx/header.ts";
import { halvesToChecksum } from "../../src/ltx/page-checksum.ts";
import { CHECKSUM_FLAG, toChecksum, toTxid } from "../../src/ltx/position.ts";
import { SegmentDecoder } from "../../src/ltx/segment-decoder.ts";
import { SegmentEncoder } from "../../src/ltx/segment-encoder.ts";
import { verifySegment, verifySegmentInSlices } from "../../src/ltx/verify-segment.ts";
import {
  databaseChecksum,
  decodeSegment,
  encodeSegment,
  headerOf,
  type PageSpec,
  patterned,
  refusalOf,
  type SegmentSpec,
  snapshotHeaderOf,
} from "./segment-spec.ts";

const pageSizes = fc.constantFrom(512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536);

/** Pages from all zero to random, so that LZ4 sees every kind of data. */
function pageData(pageSize: number): fc.Arbitrary<Uint8Array> {
  return fc
    .record({ seed: fc.integer(), random: fc.double({ min: 0, max: 1, noNaN: true }) })
    .map(({ seed, random }) => {
      let state = seed | 1;
      return Uint8Array.from({ length: pageSize }, (_, i) => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return i < random * pageSize ? state >>> 16 : i & 3;
      });
    });
}

function pagesOf(pageSize: number, maxPgno: number): fc.Arbitrary<PageSpec[]> {
  const page = fc.record({ pgno: fc.integer({ min: 1, max: maxPgno }), data: pageData(pageSize) });
  return fc
    .uniqueArray(page, { maxLength: 12, selector: ({ pgno }) => pgno })
    .map((pages) => pages.sort((a, b) => a.pgno - b.pgno));
}

const changes: fc.Arbitrary<SegmentSpec> = pageSizes.chain((pageSize) =>
  fc.record({
    header: fc
      .record({ commit: fc.constant(15_000), walOffset: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }) })
      .map((fields) => headerOf({ pageSize, ...fields })),
    pages: pagesOf(pageSize, 15_000),
    postApplyChecksum: fc.bigInt({ min: CHECKSUM_FLAG, max: 2n ** 64n - 1n }).map(toChecksum),
  }),
);

test("what is encoded is decoded, for every page size and kind of data", () => {
  fc.assert(
    fc.property(changes, (spec) => {
      const bytes = encodeSegment(spec);
      const decoded = decodeSegment(bytes);
      expect(decoded.header).toEqual(spec.header);
      expect(decoded.pages).toEqual(spec.pages);
      expect(decoded.trailer.postApplyChecksum).toBe(spec.postApplyChecksum);
      expect(decoded.trailer.pages).toBe(spec.pages.length);
      expect(decoded.trailer.bytes).toBe(bytes.length);
    }),
    { numRuns: 120 },
  );
});

test("the database checksum kept page by page equals the one of the database after every change", () => {
  const change = fc.record({ commit: fc.integer({ min: 1, max: 20 }), pages: pagesOf(512, 20) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (steps) => {
      const database = new Map<number, Uint8Array>();
      let kept = CHECKSUM_FLAG;
      const exchange = (pgno: number, data: Uint8Array | undefined) => {
        const old = database.get(pgno);
        if (old !== undefined) kept ^= databaseChecksum([{ pgno, data: old }]);
        if (data === undefined) database.delete(pgno);
        else database.set(pgno, data);
        if (data !== undefined) kept ^= databaseChecksum([{ pgno, data }]);
        kept |= CHECKSUM_FLAG;
      };
      for (const { commit, pages } of steps) {
        const inside = pages.filter(({ pgno }) => pgno <= commit);
        const spec = { header: headerOf({ commit }), pages: inside, postApplyChecksum: toChecksum(CHECKSUM_FLAG) };
        for (const { pgno, data } of decodeSegment(encodeSegment(spec)).pages) exchange(pgno, data);
        for (const pgno of [...database.keys()]) if (pgno > commit) exchange(pgno, undefined);
        const all = [...database].map(([pgno, data]) => ({ pgno, data }));
        expect(kept).toBe(databaseChecksum(all));
      }
    }),
    { numRuns: 60 },
  );
});

test("encoder and decoder report each page's checksum, and the encoder the checksum of a snapshot", () => {
  const pages = [1, 2, 3, 4].map((pgno) => ({ pgno, data: patterned(pgno, 512) }));
  const parts: Uint8Array[] = [];
  const encoder = new SegmentEncoder({ write: (bytes) => void parts.push(bytes.slice()) }, snapshotHeaderOf());
  for (const page of pages) {
    encoder.writePage(page.pgno, page.data);
    const [high = 0, low = 0] = encoder.pageChecksum;
    expect(halvesToChecksum(high, low)).toBe(databaseChecksum([page]));
  }
  expect(encoder.pagesChecksum).toBe(databaseChecksum(pages));
  const written = encoder.finish(encoder.pagesChecksum);

  const bytes = Buffer.concat(parts);
  expect(written.bytes).toBe(bytes.length);
  const decoder = new SegmentDecoder(new MemorySource(bytes));
  for (const page of pages) {
    const [high = 0, low = 0] = decoder.next()?.checksum ?? [];
    expect(halvesToChecksum(high, low)).toBe(databaseChecksum([page]));
  }
  expect(decoder.next()).toBeNull();
  expect(decoder.finish()).toEqual(written);
  expect(decoder.next()).toBeNull();
});

test("a segment without tracked checksums keeps them zero", () => {
  const header = headerOf({ flags: HEADER_FLAG_NO_CHECKSUM, preApplyChecksum: toChecksum(0n) });
  const spec = { header, pages: [{ pgno: 2, data: patterned(2, 512) }], postApplyChecksum: toChecksum(0n) };
  expect(decodeSegment(encodeSegment(spec)).trailer.postApplyChecksum).toBe(0n);
});

test("a deleted database is a segment of no pages with the checksum of no pages", () => {
  const spec = { header: headerOf({ commit: 0 }), pages: [], postApplyChecksum: toChecksum(CHECKSUM_FLAG) };
  expect(decodeSegment(encodeSegment(spec)).trailer.pages).toBe(0);
  const wrong = { ...spec, postApplyChecksum: toChecksum(CHECKSUM_FLAG | 1n) };
  expect(refusalOf(() => encodeSegment(wrong))).toBe("SEGMENT_TRAILER");
});

test("a snapshot goes around the lock-byte page", () => {
  const lockPage = 16_385;
  const data = new Uint8Array(65_536);
  const parts: Uint8Array[] = [];
  const header = snapshotHeaderOf({ pageSize: 65_536, commit: lockPage + 1 });
  const encoder = new SegmentEncoder({ write: (bytes) => void parts.push(bytes.slice()) }, header);
  for (let pgno = 1; pgno < lockPage; pgno++) encoder.writePage(pgno, data);
  expect(refusalOf(() => encoder.writePage(lockPage, data))).toBe("SEGMENT_LOCK_PAGE");
  encoder.writePage(lockPage + 1, data);
  encoder.finish(encoder.pagesChecksum);
  expect(verifySegment(new MemorySource(Buffer.concat(parts))).pages).toBe(lockPage);
});

test("many decoders can be open at once", () => {
  const specs = Array.from({ length: 200 }, (_, i) => ({
    header: headerOf({ minTxid: toTxid(BigInt(i) + 2n), maxTxid: toTxid(BigInt(i) + 2n) }),
    pages: [1, 2, 4].map((pgno) => ({ pgno, data: patterned(pgno, 512, i) })),
    postApplyChecksum: toChecksum(CHECKSUM_FLAG | BigInt(i)),
  }));
  const decoders = specs.map((spec) => new SegmentDecoder(new MemorySource(encodeSegment(spec))));
  for (let step = 0; step < 3; step++) {
    for (const [i, decoder] of decoders.entries()) {
      expect(decoder.next()?.data).toEqual(specs[i]?.pages[step]?.data);
    }
  }
  for (const [i, decoder] of decoders.entries()) {
    expect(decoder.next()).toBeNull();
    expect(decoder.finish().postApplyChecksum).toBe(specs[i]?.postApplyChecksum);
  }
});

test("verifying in slices lets the event loop turn and finds the same", async () => {
  const data = patterned(1, 65_536);
  const pages = Array.from({ length: 200 }, (_, i) => ({ pgno: i + 1, data }));
  const header = headerOf({ pageSize: 65_536, commit: 200 });
  const source = new MemorySource(encodeSegment({ header, pages, postApplyChecksum: toChecksum(CHECKSUM_FLAG) }));
  let turns = 0;
  const count = () => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  const summary = await verifySegmentInSlices(source);
  clearImmediate(timer);
  expect(turns).toBeGreaterThan(1);
  expect(summary).toEqual(verifySegment(source));
  expect(summary.pages).toBe(200);
});
