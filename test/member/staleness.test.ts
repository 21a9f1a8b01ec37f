import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Staleness } from "../../src/member/staleness.ts";
import type { MemberStatus } from "../../src/status/member-status.ts";
import { mirrorFacts, operationalFacts } from "../http/health-facts.ts";

const position = (txid: number, epoch = 1) => ({
  epoch,
  txid: txid.toString(16).padStart(16, "0"),
  checksum: "8000000000000000",
  time: null,
});

/** The member above, whose journal ends at `txid`, as a document says that was written after a time of this machine. */
function source(txid: number, writtenAfterMs: number | null, { epoch = 1, ageSeconds = 0, mirrored = false } = {}) {
  const databases = { shop: { operational: position(txid, epoch) } };
  const make = mirrored ? mirrorFacts : operationalFacts;
  return { status: make({ databases, status: { upstreamAgeSeconds: ageSeconds } }).status, writtenAfterMs };
}

/** A mirror's own status, whose copy is at `txid`. */
function own(txid: number | null, epoch = 1): MemberStatus {
  return mirrorFacts({ databases: { shop: { integrated: txid === null ? null : position(txid, epoch) } } }).status;
}

function staleOf(status: MemberStatus): number | null | undefined {
  return status.databases.shop?.staleSeconds;
}

describe("a mirror", () => {
  test("is as old as the last document whose end it has", () => {
    const staleness = new Staleness();
    expect(staleOf(staleness.describe(own(5), source(5, null), 1_000))).toBeNull();
    expect(staleOf(staleness.describe(own(5), source(5, 1_000), 1_500))).toBe(0.5);
    expect(staleOf(staleness.describe(own(5), source(8, 2_000), 2_500))).toBe(1.5);
    expect(staleOf(staleness.describe(own(8), source(8, 2_000), 2_600))).toBe(0.6);
  });

  test("grows older while nothing is heard, although nothing is known to be missing", () => {
    const staleness = new Staleness();
    staleness.describe(own(5), source(5, 1_000), 1_500);
    const { upstreamAgeSeconds, ...status } = staleness.describe(own(5), source(5, 1_000), 3_601_000);
    expect([staleOf({ ...status }), upstreamAgeSeconds]).toEqual([3_600, 3_600]);
  });

  test("that is always a moment behind is as old as what it has, and not older and older", () => {
    const staleness = new Staleness();
    const ages = Array.from({ length: 100 }, (_, i) => {
      const nowMs = 10_000 + i * 500;
      return staleOf(staleness.describe(own(i), source(i + 2, nowMs - 100), nowMs)) ?? 0;
    });
    expect(Math.max(...ages)).toBeLessThanOrEqual(2.1);
  });

  test("behind another mirror is older than that one", () => {
    const status = new Staleness().describe(own(5), source(5, 9_000, { mirrored: true, ageSeconds: 30 }), 10_000);
    expect([staleOf(status), status.upstreamAgeSeconds]).toEqual([31, 31]);
  });

  test("proves nothing by transactions of another epoch", () => {
    const staleness = new Staleness();
    expect(staleOf(staleness.describe(own(9, 1), source(5, 1_000, { epoch: 2 }), 1_500))).toBeNull();
    expect(staleOf(staleness.describe(own(4, 2), source(5, 2_000, { epoch: 2 }), 2_500))).toBeNull();
    expect(staleOf(staleness.describe(own(5, 2), source(5, 2_000, { epoch: 2 }), 2_600))).toBe(0.6);
  });

  test("gives up a goal of an epoch that ended before it", () => {
    const staleness = new Staleness();
    staleness.describe(own(4), source(100, 1_000), 1_500);
    expect(staleOf(staleness.describe(own(7, 2), source(7, 2_000, { epoch: 2 }), 2_500))).toBe(0.5);
  });

  test("without a copy, or without anybody above, has no age", () => {
    const staleness = new Staleness();
    expect(staleOf(staleness.describe(own(null), source(5, 1_000), 1_500))).toBeNull();
    const fenced = new Staleness().describe(own(5), null, 1_500);
    expect([staleOf(fenced), fenced.upstreamAgeSeconds]).toEqual([null, null]);
  });

  test("whatever comes when, its copy holds all that there was when it says", () => {
    const steps = fc.array(fc.record({ commits: fc.nat(3), integrates: fc.nat(5), isRead: fc.boolean() }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, (rounds) => {
        const staleness = new Staleness();
        /** The end of the journal at each second. */
        const ends: number[] = [1];
        let [copy, readAt, heard] = [0, 0, source(0, null)];
        rounds.forEach(({ commits, integrates, isRead }, i) => {
          const second = i + 1;
          ends.push((ends[i] ?? 0) + commits);
          copy = Math.min(ends[second] ?? 0, copy + integrates);
          // What is read was written somewhere between the read before and this one: here at once after the one before.
          if (isRead) heard = source(ends[readAt + 1] ?? 0, (readAt + 1) * 1000);
          if (isRead) readAt = second;
          const stale = staleOf(staleness.describe(own(copy), heard, second * 1000)) ?? null;
          if (stale !== null) expect(copy).toBeGreaterThanOrEqual(ends[second - Math.ceil(stale)] ?? 0);
        });
      }),
    );
  });
});

test("the operational member's databases have no age", () => {
  const status = new Staleness().describe(operationalFacts().status, null, 5_000);
  expect([staleOf(status), status.upstreamAgeSeconds]).toEqual([0, 0]);
});
