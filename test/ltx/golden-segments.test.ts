import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { toTxid } from "../../src/ltx/position.ts";
import { databaseChecksum, decodeSegment, snapshotHeaderOf } from "./segment-spec.ts";

/** What the reference implementation was given when it wrote the golden files: equal runs, noise, zeros. */
function expectedPages() {
  let state = 12_345;
  const noise = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) & 0xff;
  };
  return [
    { pgno: 1, data: Uint8Array.from({ length: 512 }, (_, i) => i >>> 6) },
    { pgno: 2, data: Uint8Array.from({ length: 512 }, noise) },
    { pgno: 3, data: new Uint8Array(512) },
  ];
}

test.each(["ltx-0.5.1-frames.hex", "ltx-0.5.3-blocks.hex"])(
  "the reference's file %s is decoded to its pages",
  (name) => {
    const text = readFileSync(new URL(`golden/${name}`, import.meta.url), "utf8");
    const { header, pages, trailer } = decodeSegment(Buffer.from(text.replaceAll("\n", ""), "hex"));
    expect(header).toEqual(snapshotHeaderOf({ commit: 3, maxTxid: toTxid(2n) }));
    expect(pages).toEqual(expectedPages());
    expect(trailer.postApplyChecksum).toBe(databaseChecksum(expectedPages()));
  },
);
