/** What the kernel says of a running process (Linux, proc(5)). */
import { readdirSync, readFileSync } from "node:fs";

/** Peak resident memory since the process started, in bytes. */
export function peakResidentBytes(pid: number): number {
  return statusBytes(pid, "VmHWM");
}

/** Resident memory now, in bytes. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, "VmRSS");
}

function statusBytes(pid: number, field: "VmHWM" | "VmRSS"): number {
  return bytesOf(field, readFileSync(`/proc/${pid}/status`, "utf8"), pid);
}

function bytesOf(field: string, text: string, pid: number): number {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
  if (kib === undefined) throw new Error(`no ${field} for process ${pid}`);
  return Number(kib) * 1024;
}

/** Resident memory now, where what other processes have as well counts in parts, in bytes. */
export function proportionalBytes(pid: number): number {
  return bytesOf("Pss", readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"), pid);
}

/** How often any of the process's threads has slept so far, until something woke it up. */
export function sleeps(pid: number): number {
  return tasks(pid)
    .map((task) => Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readTask(pid, task, "status"))?.[1] ?? 0))
    .reduce((sum, each) => sum + each, 0);
}

/** Processor time that all of the process's threads have used, in milliseconds (to the nanosecond, unlike /proc/<pid>/stat). */
export function processorMs(pid: number): number {
  const nanoseconds = tasks(pid).map((task) => Number(readTask(pid, task, "schedstat").split(" ")[0]));
  return nanoseconds.reduce((sum, used) => sum + used, 0) / 1e6;
}

function tasks(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`);
}

function readTask(pid: number, task: string, file: string): string {
  return readFileSync(`/proc/${pid}/task/${task}/${file}`, "utf8");
}
