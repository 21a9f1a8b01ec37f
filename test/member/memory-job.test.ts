import { getHeapStatistics } from "node:v8";
import { test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { runMemoryJob } from "../../src/member/jobs/memory.ts";

const GARBAGE_OBJECTS = 1_000_000;

function heapBytes(): number {
  return getHeapStatistics().used_heap_size;
}

/** Some 60 MB, of which nothing is left when it returns but what V8 has not collected yet. */
function makeGarbage(): number {
  const objects = Array.from({ length: GARBAGE_OBJECTS }, (_, index) => ({ index, next: { index } }));
  return heapBytes() + 0 * objects.length;
}

test("a process with little to do gives its garbage back, and the job ends when it is told to", async () => {
  const stop = new AbortController();
  const job = runMemoryJob(stop.signal, 200);
  const most = makeGarbage();
  // V8 does it by itself after 8 s at the earliest.
  const what = "most of the garbage is collected";
  await waitUntil(() => heapBytes() < most - 30_000_000, { what, stalledAfterMs: 5_000 });
  stop.abort();
  await job;
});
