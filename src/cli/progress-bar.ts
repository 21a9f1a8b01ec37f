import { formatBytes, formatSeconds, WorkMeter } from "../status/work-meter.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";

export interface Progress {
  /** What is being worked on, such as a database's name. */
  readonly what: string;
  readonly step: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

const WIDTH = 24;
const REDRAW_MS = 100;
const LINE_MS = 1_000;

/**
 * Shows how far a long command is: a bar on a terminal, with the rate and the time left; with `--json` and no terminal, JSON lines
 * on standard error, at most one a second for each step; otherwise nothing. Call `end` before anything else is printed.
 */
export class ProgressBar {
  readonly #io: CommandIo;
  readonly #style: "bar" | "lines" | "none";
  #step = "";
  #nextMs = 0;
  #meter = new WorkMeter();

  constructor(args: GlobalOptions, io: CommandIo) {
    this.#io = io;
    if (args.quiet === true) this.#style = "none";
    else if (io.terminal) this.#style = "bar";
    else this.#style = args.json === true ? "lines" : "none";
  }

  show(progress: Progress): void {
    if (this.#style === "none") return;
    const nowMs = performance.now();
    const step = `${progress.what} ${progress.step}`;
    if (step !== this.#step) this.#meter = new WorkMeter();
    this.#meter.add(nowMs, progress.bytes);
    if (step === this.#step && nowMs < this.#nextMs) return;
    this.#step = step;
    this.#nextMs = nowMs + (this.#style === "bar" ? REDRAW_MS : LINE_MS);
    const { perSecond, secondsLeft } = this.#meter.rate(progress.totalBytes === 0 ? null : progress.totalBytes);
    if (this.#style === "lines") {
      const rate = { bytesPerSecond: perSecond === null ? null : Math.round(perSecond), secondsLeft };
      this.#io.err(JSON.stringify({ progress: { ...progress, ...rate } }));
    } else this.#io.redraw(formatProgress(progress, { perSecond, secondsLeft }));
  }

  end(): void {
    if (this.#style === "bar") this.#io.redraw("");
  }
}

interface Rate {
  readonly perSecond: number | null;
  readonly secondsLeft: number | null;
}

/** `clinic  copying  [############............]  50 %  512.0 of 1024.0 MiB  210.5 MiB/s  3 s left`. */
function formatProgress({ what, step, bytes, totalBytes }: Progress, { perSecond, secondsLeft }: Rate): string {
  if (totalBytes === 0) return `${what}  ${step}`;
  const done = Math.min(1, bytes / totalBytes);
  const bar = "#".repeat(Math.round(done * WIDTH)).padEnd(WIDTH, ".");
  const [inMiB, ofMiB] = [bytes, totalBytes].map((value) => (value / 2 ** 20).toFixed(1));
  const rate = perSecond === null ? "" : `  ${formatBytes(perSecond)}/s`;
  const left = secondsLeft === null ? "" : `  ${formatSeconds(secondsLeft)} left`;
  return `${what}  ${step}  [${bar}]  ${Math.floor(done * 100)} %  ${inMiB} of ${ofMiB} MiB${rate}${left}`;
}
