/**
 * The memory job: gives back what a process that has become idle no longer needs.
 *
 * Every database that is written to holds many small blocks of memory for a while, and what is free again then lies between
 * what is not: malloc keeps it until it is told to give it back. And V8 collects its garbage when there is about as much of it
 * as of all else, which an idle process may never come to.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import koffi from "koffi";
import { pause } from "../pause.ts";

/** Giving memory back takes a few milliseconds. */
const INTERVAL_MS = 15_000;
/** Collecting garbage holds up everything for some 50 ms, so there must be some, and little else to do. */
const GARBAGE_BYTES = 16 * 1024 * 1024;
const MOST_UTILIZATION = 0.25;

/** Runs until `stop` is aborted. */
export async function runMemoryJob(stop: AbortSignal, intervalMs = INTERVAL_MS): Promise<void> {
  const trim = mallocTrim();
  const collect = garbageCollector();
  let keptBytes = 0;
  let before = performance.eventLoopUtilization();
  for (;;) {
    await pause(intervalMs, stop);
    if (stop.aborted) return;
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    if (utilization < MOST_UTILIZATION && heapBytes() > keptBytes + GARBAGE_BYTES) {
      collect();
      keptBytes = heapBytes();
    }
    trim?.(0);
  }
}

function heapBytes(): number {
  return getHeapStatistics().used_heap_size;
}

/** V8 has no other way to be asked for it. */
function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

/** Null where the C library has no malloc_trim(3), which is glibc's own. */
function mallocTrim(): ((pad: number) => number) | null {
  try {
    return koffi.load(null).func("int malloc_trim(size_t pad)");
  } catch {
    return null;
  }
}
