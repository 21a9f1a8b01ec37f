import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { SegmentDecoder } from "../../src/ltx/segment-decoder.ts";
import { SegmentEncoder } from "../../src/ltx/segment-encoder.ts";
import { snapshotHeaderOf } from "./segment-spec.ts";

const MIB = 1024 * 1024;
const PAGE_SIZE = 4096;
const PAGES = 384 * (MIB / PAGE_SIZE);
/** Far below the 384 MiB that pass through, and far above what the collector leaves lying about. */
const LIMIT = 128 * MIB;

const directory = mkdtempSync(join(tmpdir(), "afterimage-memory-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("384 MiB of pages are encoded and decoded without memory growing with them", () => {
  const page = Buffer.alloc(PAGE_SIZE);
  crypto.getRandomValues(page.subarray(0, PAGE_SIZE / 2));
  const before = process.memoryUsage().rss;
  let peak = before;
  const sample = (pgno: number) => {
    if (pgno % 4096 === 0) peak = Math.max(peak, process.memoryUsage().rss);
  };

  const file = openSync(join(directory, "large.ltx"), "w+");
  const header = snapshotHeaderOf({ pageSize: PAGE_SIZE, commit: PAGES });
  const encoder = new SegmentEncoder({ write: (bytes) => void writeSync(file, bytes) }, header);
  for (let pgno = 1; pgno <= PAGES; pgno++) {
    page.writeUInt32BE(pgno, 100);
    encoder.writePage(pgno, page);
    sample(pgno);
  }
  const written = encoder.finish(encoder.pagesChecksum);
  expect(written.bytes).toBe(fstatSync(file).size);
  expect(written.bytes).toBeGreaterThan(LIMIT);

  const read = (target: Uint8Array, position: number) => readSync(file, target, 0, target.length, position);
  const decoder = new SegmentDecoder({ size: written.bytes, read });
  for (let next = decoder.next(); next !== null; next = decoder.next()) sample(next.pgno);
  expect(decoder.finish()).toEqual(written);
  closeSync(file);
  expect(peak - before).toBeLessThan(LIMIT);
});
