import { getHeapStatistics } from "node:v8";
import { test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { runMemoryJob } from "../../src/member/jobs/memory.ts";

const OBJECTS = 1_000_000;

function heapBytes(): number {
  return getHeapStatistics().total_heap_size;
}

/** Of what takes some 60 MB every fifth object is kept, so that few pages of the heap are empty afterwards. */
function makeHoles(): { readonly kept: object[]; readonly bytes: number } {
  const objects = Array.from({ length: OBJECTS }, (_, index) => ({ index, next: { index } }));
  return { bytes: heapBytes(), kept: objects.filter(({ index }) => index % 5 === 0) };
}

test("a process with little to do gives the memory of its garbage back, and the job ends when it is told to", async () => {
  const stop = new AbortController();
  const job = runMemoryJob(stop.signal, 200);
  const { kept, bytes } = makeHoles();
  const isSmall = () => heapBytes() < bytes - 30_000_000 && kept.length > 0;
  // V8 does it by itself after 8 s at the earliest.
  await waitUntil(isSmall, { what: "the heap is small again", stalledAfterMs: 5_000 });
  stop.abort();
  await job;
});
