/**
 * The memory job: gives back what a process that has become idle no longer needs.
 *
 * Every database that is written to holds many small blocks of memory for a while, and what is free again then lies between
 * what is not: malloc keeps it until it is told to give it back. V8 does the same with its heap: it collects its garbage
 * when there is about as much of it as of all else, and keeps pages of which only a part is in use.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import koffi from "koffi";
import { pause } from "../pause.ts";

/** Giving memory back takes a few milliseconds. */
const INTERVAL_MS = 15_000;
/**
 * Making V8's heap as small as it can be holds up everything for 100 to 200 ms: it is done seldom, when that gives much
 * back, and when there is little else to do.
 */
const COLLECT_INTERVAL_MS = 60_000;
const LEAST_GAIN_BYTES = 64 * 1024 * 1024;
const MOST_UTILIZATION = 0.25;
/**
 * Percent by which the heap of an idle process may grow before V8 collects it again. Left alone, V8 lets one that allocates
 * slowly grow by a tenth, and with a thousand databases then collects it every few seconds. 0 leaves it to V8.
 */
const IDLE_GROWTH = 50;

/** Runs until `stop` is aborted. */
export async function runMemoryJob(stop: AbortSignal, intervalMs = INTERVAL_MS): Promise<void> {
  const trim = mallocTrim();
  const collect = garbageCollector();
  let collectedAtMs = Number.NEGATIVE_INFINITY;
  let keptBytes = 0;
  let before = performance.eventLoopUtilization();
  for (;;) {
    await pause(intervalMs, stop);
    if (stop.aborted) return;
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    const isIdle = utilization < MOST_UTILIZATION;
    setFlagsFromString(`--heap-growing-percent=${isIdle ? IDLE_GROWTH : 0}`);
    const isTime = performance.now() - collectedAtMs >= COLLECT_INTERVAL_MS;
    if (isTime && isIdle && heapBytes() > keptBytes + LEAST_GAIN_BYTES) {
      collect({ type: "major", execution: "sync", flavor: "last-resort" });
      keptBytes = heapBytes();
      collectedAtMs = performance.now();
    }
    trim?.(0);
  }
}

/** Of all pages of the heap, however much of them is in use. */
function heapBytes(): number {
  return getHeapStatistics().total_heap_size;
}

type Collect = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/** V8 has no other way to be asked for it. */
function garbageCollector(): Collect {
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
