import fc from "fast-check";
import { expect, test } from "vitest";
import {
  formatEpoch,
  formatSegmentName,
  formatSegmentPath,
  parseEpoch,
  parseSegmentName,
  parseSegmentPath,
  type SegmentRef,
} from "../../src/journal/segment-name.ts";
import { toTxid } from "../../src/ltx/position.ts";
import { thrownBy } from "../support/thrown.ts";

const SEGMENT: SegmentRef = {
  database: "orders",
  epoch: 26,
  kind: "segment",
  minTxid: toTxid(2n),
  maxTxid: toTxid(255n),
};

test("names are those of Litestream's replicas", () => {
  expect(formatSegmentPath(SEGMENT)).toBe("orders/000000000000001a/ltx/0/0000000000000002-00000000000000ff.ltx");
  expect(formatSegmentPath({ ...SEGMENT, kind: "snapshot", minTxid: toTxid(1n) })).toBe(
    "orders/000000000000001a/ltx/9/0000000000000001-00000000000000ff.ltx",
  );
});

test("every name that is formatted is parsed back", () => {
  const refs = fc
    .record({
      database: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/),
      epoch: fc.integer({ min: 1, max: 0xffff_ffff }),
      txids: fc.tuple(fc.bigInt(1n, 2n ** 63n - 1n), fc.bigInt(1n, 2n ** 63n - 1n)),
      snapshot: fc.boolean(),
    })
    .map(({ database, epoch, txids: [a, b], snapshot }): SegmentRef => {
      const [min, max] = a < b ? [a, b] : [b, a];
      const kind = snapshot ? "snapshot" : "segment";
      return { database, epoch, kind, minTxid: toTxid(snapshot ? 1n : min), maxTxid: toTxid(max) };
    });
  fc.assert(
    fc.property(refs, (ref) => {
      expect(parseSegmentPath(formatSegmentPath(ref))).toEqual(ref);
    }),
  );
});

test("whatever is parsed is formatted to the same text", () => {
  const digits = fc.stringMatching(/^[0-9a-fA-F]{15,17}$/);
  const names = fc.tuple(digits, digits).map(([min, max]) => `${min}-${max}.ltx`);
  fc.assert(
    fc.property(names, (name) => {
      const range = parseSegmentName(name);
      return range === null || formatSegmentName(range) === name;
    }),
  );
});

test.each([
  ["upper case", "000000000000000A-000000000000000B.ltx"],
  ["a short TXID", "00000000000000a-000000000000000b.ltx"],
  ["TXID 0", "0000000000000000-000000000000000b.ltx"],
  ["minimum above maximum", "000000000000000c-000000000000000b.ltx"],
  ["a TXID above 2^63-1", "0000000000000001-8000000000000000.ltx"],
  ["a temporary name", ".0000000000000001-0000000000000001.ltx.part"],
  ["another ending", "0000000000000001-0000000000000001.ltx2"],
  ["a line break at the end", "0000000000000001-0000000000000001.ltx\n"],
  ["nothing", ""],
])("a segment name with %s is refused", (_, name) => {
  expect(parseSegmentName(name)).toBeNull();
});

test.each([
  "orders/000000000000001a/ltx/1/0000000000000002-00000000000000ff.ltx",
  "orders/000000000000001a/ltx/9/0000000000000002-00000000000000ff.ltx",
  "orders/0000000000000000/ltx/0/0000000000000002-00000000000000ff.ltx",
  "orders/0000000100000000/ltx/0/0000000000000002-00000000000000ff.ltx",
  "../000000000000001a/ltx/0/0000000000000002-00000000000000ff.ltx",
  "/orders/000000000000001a/ltx/0/0000000000000002-00000000000000ff.ltx",
  "orders/000000000000001a/ltx/0/0000000000000002-00000000000000ff.ltx/x",
  "orders/000000000000001a/0/0000000000000002-00000000000000ff.ltx",
])("the path %s is refused", (path) => {
  expect(parseSegmentPath(path)).toBeNull();
});

test.each(["", ".", "..", "a/b", ".hidden", "-rf", "a b", "a\0", "ä", "x".repeat(101)])(
  "no file is named for a database called %j",
  (database) => {
    expect(thrownBy(() => formatSegmentPath({ ...SEGMENT, database }))).toMatchObject({ code: "JOURNAL_NAME_INVALID" });
  },
);

test("a snapshot that does not begin at TXID 1 and an empty range have no name", () => {
  const invalid = { code: "JOURNAL_NAME_INVALID" };
  expect(thrownBy(() => formatSegmentPath({ ...SEGMENT, kind: "snapshot" }))).toMatchObject(invalid);
  expect(thrownBy(() => formatSegmentPath({ ...SEGMENT, minTxid: toTxid(0n) }))).toMatchObject(invalid);
  expect(thrownBy(() => formatSegmentPath({ ...SEGMENT, maxTxid: toTxid(1n) }))).toMatchObject(invalid);
});

test("epochs are 1 to 2^32-1", () => {
  expect(parseEpoch(formatEpoch(0xffff_ffff))).toBe(0xffff_ffff);
  for (const epoch of [0, -1, 1.5, 0x1_0000_0000, Number.NaN]) {
    expect(thrownBy(() => formatEpoch(epoch))).toMatchObject({ code: "JOURNAL_NAME_INVALID" });
  }
});
