import { randomInt } from "node:crypto";
import { expect, test } from "vitest";
import { HEADER_FLAG_NO_CHECKSUM, isSnapshot } from "../../src/ltx/header.ts";
import { lockBytePage } from "../../src/ltx/page-checksum.ts";
import { SegmentError, type SegmentErrorCode } from "../../src/ltx/segment-error.ts";
import { baseSegments, Dice, mutateBytes, mutateFields } from "../ltx/segment-mutation.ts";
import { assemble, concat, type DecodedSegment, databaseChecksum, decodeSegment } from "../ltx/segment-spec.ts";

const RUNS = 100_000;

const EVERY_REFUSAL: Record<Exclude<SegmentErrorCode, "SEGMENT_USAGE">, true> = {
  SEGMENT_MAGIC: true,
  SEGMENT_HEADER: true,
  SEGMENT_TRUNCATED: true,
  SEGMENT_PAGE_FLAGS: true,
  SEGMENT_PAGE_NUMBER: true,
  SEGMENT_PAGE_ORDER: true,
  SEGMENT_LOCK_PAGE: true,
  SEGMENT_COMPRESSION: true,
  SEGMENT_INDEX: true,
  SEGMENT_TRAILER: true,
  SEGMENT_TRAILING_BYTES: true,
  SEGMENT_CHECKSUM: true,
  SEGMENT_SNAPSHOT_INCOMPLETE: true,
  SEGMENT_DATABASE_CHECKSUM: true,
};

interface Mutant {
  readonly bytes: Uint8Array;
  /** What it may be decoded to, if it is decoded at all; null for noise, which may not. */
  readonly content: (Pick<DecodedSegment, "pages"> & Partial<DecodedSegment>) | null;
}

test("every one of 100,000 spoilt segments is refused with a code or decoded correctly", () => {
  const seed = Number(process.env.AFTERIMAGE_SEED ?? randomInt(2 ** 31));
  const dice = new Dice(seed);
  const counts = new Map<string, number>();
  const nextMutant = mutants(dice);
  for (let run = 0; run < RUNS; run++) {
    const mutant = nextMutant();
    const outcome = decodeMutant(mutant.bytes, `seed ${seed}, run ${run}`);
    counts.set(outcome.code, (counts.get(outcome.code) ?? 0) + 1);
    if (outcome.decoded !== null) expectCorrect(outcome.decoded, mutant, `seed ${seed}, run ${run}`);
  }
  const summary = [...counts].sort(([, a], [, b]) => b - a).map(([code, count]) => `  ${code}: ${count}`);
  console.log(`AFTERIMAGE_SEED=${seed}, ${RUNS} spoilt segments\n${summary.join("\n")}`);
  expect([...counts.keys()].sort()).toEqual([...Object.keys(EVERY_REFUSAL), "decoded"].sort());
});

function mutants(dice: Dice): () => Mutant {
  const segments = baseSegments().map((raw) => ({ raw, bytes: assemble(raw), content: decodeSegment(assemble(raw)) }));
  return () => {
    const { raw, bytes, content } = dice.pick(segments);
    const other = dice.pick(segments);
    switch (dice.below(20)) {
      case 0:
        return { bytes: dice.bytes(dice.below(400)), content: null };
      case 1:
        return { bytes: concat([raw.header, dice.bytes(dice.below(800))]), content: null };
      case 2:
        return { bytes, content };
      default: {
        if (dice.below(5) < 3) {
          const changed = mutateFields(raw, dice);
          const pages = changed.frames.map(({ pgno, data }) => ({ pgno, data }));
          return { bytes: assemble(changed), content: { pages } };
        }
        // A splice of one segment's beginning with the whole of another is another valid segment.
        const mutated = mutateBytes(bytes, other.bytes, dice);
        return { bytes: mutated, content: Buffer.compare(mutated, other.bytes) === 0 ? other.content : content };
      }
    }
  };
}

function decodeMutant(bytes: Uint8Array, where: string): { code: string; decoded: DecodedSegment | null } {
  try {
    return { code: "decoded", decoded: decodeSegment(bytes) };
  } catch (error) {
    if (error instanceof SegmentError) return { code: error.code, decoded: null };
    throw new Error(`${where}: not a SegmentError`, { cause: error });
  }
}

/** What is decoded has the content that the mutant stands for, and obeys every rule of the format. */
function expectCorrect(decoded: DecodedSegment, { bytes, content }: Mutant, where: string): void {
  const { header, pages, trailer } = decoded;
  expect(trailer.bytes, where).toBe(bytes.length);
  expect(pages, where).toEqual(content?.pages);
  if (content?.header !== undefined) expect(header, where).toEqual(content.header);
  const pgnos = pages.map(({ pgno }) => pgno);
  expect(pgnos, where).toEqual([...new Set(pgnos)].sort((a, b) => a - b));
  expect(pgnos, where).not.toContain(lockBytePage(header.pageSize));
  for (const { pgno, data } of pages) {
    expect(pgno >= 1 && pgno <= header.commit && data.length === header.pageSize, where).toBe(true);
  }
  if (!isSnapshot(header)) return;
  expect(pgnos.length, where).toBe(header.commit);
  const tracked = (header.flags & HEADER_FLAG_NO_CHECKSUM) === 0;
  expect(trailer.postApplyChecksum, where).toBe(tracked ? databaseChecksum(pages) : 0n);
}
