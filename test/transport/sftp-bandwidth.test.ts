import fc from "fast-check";
import { expect, test } from "vitest";
import { TokenBucket } from "../../src/transport/sftp-bandwidth.ts";

/** A clock that only moves while somebody waits. */
function bucketOf(bytesPerSecond: number) {
  const clock = { nowMs: 0 };
  const bucket = new TokenBucket(
    bytesPerSecond,
    () => clock.nowMs,
    async (milliseconds, signal) => {
      signal?.throwIfAborted();
      clock.nowMs += milliseconds;
    },
  );
  return { clock, bucket };
}

test("no more than the rate and one bucketful passes, however it is asked for", async () => {
  const amounts = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 50 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 100, max: 10_000 }), amounts, async (rate, chunks) => {
      const { clock, bucket } = bucketOf(rate);
      let taken = 0;
      for (const chunk of chunks) {
        await bucket.take(chunk);
        taken += chunk;
        expect(taken).toBeLessThanOrEqual(rate + (clock.nowMs / 1000) * rate + 1e-6);
      }
      expect(clock.nowMs).toBeLessThanOrEqual((Math.max(0, taken - rate) / rate) * 1000 + 1e-6);
    }),
  );
});

test("what was not used in a pause is saved for one second at most", async () => {
  const { clock, bucket } = bucketOf(1000);
  clock.nowMs = 3_600_000;
  await bucket.take(1000);
  expect(clock.nowMs).toBe(3_600_000);
  await bucket.take(500);
  expect(clock.nowMs).toBe(3_600_500);
});

test("an abort ends the wait with its reason", async () => {
  const bucket = new TokenBucket(1);
  const abort = new AbortController();
  const reason = new Error("stop");
  const wait = bucket.take(1_000_000, abort.signal);
  abort.abort(reason);
  await expect(wait).rejects.toBe(reason);
});
