/**
 * The child's end of the IPC channel: reports at intervals, stops when it is told to or when its parent is gone.
 */
import { STOP } from "./demo-messages.ts";

const REPORT_INTERVAL_MS = 250;

interface ReportingChild {
  /** Does one piece of work; returns how many milliseconds to wait before the next. */
  readonly step: () => number;
  /** What is sent to the parent, now and then and, with `final` true, at the end. */
  readonly report: (end: { final: boolean }) => object;
  readonly close: () => void;
}

/** Runs until the parent says stop. An error in `step` ends the process with that error. */
export function runReportingChild(child: ReportingChild): void {
  let timer = setTimeout(work, 0);
  const reporter = setInterval(() => send(child.report({ final: false })), REPORT_INTERVAL_MS);

  function work(): void {
    const waitMs = child.step();
    timer = setTimeout(work, waitMs);
  }

  function stop(): void {
    clearTimeout(timer);
    clearInterval(reporter);
    const last = child.report({ final: true });
    child.close();
    if (process.connected) process.send?.(last, () => process.disconnect());
  }

  process.once("message", (message) => {
    if (message === STOP) stop();
  });
  process.once("disconnect", () => {
    clearTimeout(timer);
    clearInterval(reporter);
  });
  // Ctrl-C reaches every process of the terminal; the parent stops its children in order.
  process.on("SIGINT", () => {});
}

function send(report: object): void {
  if (process.connected) process.send?.(report);
}
