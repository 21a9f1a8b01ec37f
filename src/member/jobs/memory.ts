/**
 * The memory job. Every database that is written to holds many small blocks of memory for a while, and what is free again
 * then lies between what is not: malloc keeps it until it is told to give it back.
 */
import koffi from "koffi";
import { pause } from "../pause.ts";

/** Giving memory back takes a few milliseconds. */
const INTERVAL_MS = 15_000;

/** Runs until `stop` is aborted. Ends at once where the C library has no malloc_trim(3), which is glibc's own. */
export async function runMemoryJob(stop: AbortSignal): Promise<void> {
  const trim = mallocTrim();
  while (trim !== null && !stop.aborted) {
    await pause(INTERVAL_MS, stop);
    trim(0);
  }
}

function mallocTrim(): ((pad: number) => number) | null {
  try {
    return koffi.load(null).func("int malloc_trim(size_t pad)");
  } catch {
    return null;
  }
}
