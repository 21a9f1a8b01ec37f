import { watch } from "node:fs";
import { Signal } from "./signal.ts";

interface WatchOptions {
  readonly timeoutMs: number;
  /** Asked once the watch is set: what was written before it cannot be missed. */
  readonly alreadyWritten: () => boolean;
  readonly stop: AbortSignal;
}

/**
 * Waits until something writes to the file at `path` or replaces it; at most `timeoutMs`. Costs nothing meanwhile.
 * Returns false only when nothing happened for all that time; a file that cannot be watched counts as written.
 */
export async function untilWritten(path: string, options: WatchOptions): Promise<boolean> {
  const happened = new Signal();
  let written = false;
  const note = () => {
    written = true;
    happened.set();
  };
  let watcher: ReturnType<typeof watch>;
  try {
    watcher = watch(path, note);
  } catch {
    return true;
  }
  watcher.on("error", note);
  try {
    if (options.alreadyWritten()) return true;
    await happened.wait(options.timeoutMs, options.stop);
    return written;
  } finally {
    watcher.close();
  }
}
