/** What the kernel says of a running process (Linux, proc(5)). */
import { readFileSync } from "node:fs";

/** USER_HZ: the unit of times in /proc/<pid>/stat, 100 a second on every Linux platform that Node supports. */
const TICK_MS = 10;

/** Peak resident memory since the process started, in bytes. */
export function peakResidentBytes(pid: number): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kib === undefined) throw new Error(`no VmHWM for process ${pid}`);
  return Number(kib) * 1024;
}

/** Processor time that the process has used, user and system, in milliseconds. */
export function processorMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the command in parentheses and may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
