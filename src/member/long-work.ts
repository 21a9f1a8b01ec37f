/**
 * Work on a whole database that takes a while: what status shows of it, and its events.
 *
 * Guarantee: what is over within {@link LASTING_MS} is not mentioned. Whatever it takes, an amount of work makes few events: at each
 * tenth of a step, and where a tenth takes longer after 30 s, then after twice as long each time.
 */
import { activityText, inUnit, WORK_WORDS } from "../status/activity-text.ts";
import type { ActivityView, WorkKind, WorkUnit } from "../status/member-status.ts";
import { formatSeconds, WorkMeter, type WorkRate } from "../status/work-meter.ts";
import type { MemberContext } from "./member-context.ts";

const LASTING_MS = 1_000;
const FIRST_INTERVAL_MS = 30_000;
const EVENT_PERCENT = 10;

export interface WorkNote {
  readonly kind: WorkKind;
  readonly database: string;
  /** In words, such as `receiving`. What is done is counted anew in each. */
  readonly step: string;
  readonly done: number;
  /** Null when it is not known of how much. */
  readonly total: number | null;
  /** Bytes when not given. */
  readonly unit?: WorkUnit;
  /** The process that does it, when it is another one than this. */
  readonly pid?: number;
  /** How long it has been going on before this is noted; 0 when not given. */
  readonly elapsedMs?: number;
}

interface Running {
  note: WorkNote;
  readonly beganAtMs: number;
  meter: WorkMeter;
  announced: boolean;
  /** Of the last event. */
  percent: number;
  eventAtMs: number;
  intervalMs: number;
}

export interface WorkSummary {
  readonly seconds: number;
  readonly perSecond: number;
}

/** Null for what has an event of its own that says more. */
const STARTED: Readonly<Record<WorkKind, string | null>> = {
  seed: "SEED_STARTED",
  resync: null,
  catchUp: null,
  backup: "BACKUP_STARTED",
  restore: "RESTORE_STARTED",
};
const PROGRESS: Readonly<Record<WorkKind, string>> = {
  seed: "SEED_PROGRESS",
  resync: "RESYNC_PROGRESS",
  catchUp: "CATCH_UP_PROGRESS",
  backup: "BACKUP_PROGRESS",
  restore: "RESTORE_PROGRESS",
};
const FINISHED: Readonly<Record<WorkKind, string | null>> = {
  seed: "SEED_FINISHED",
  resync: null,
  catchUp: null,
  backup: "BACKUP_FINISHED",
  restore: "RESTORE_FINISHED",
};
const STOPPED: Readonly<Record<WorkKind, string | null>> = {
  seed: "SEED_STOPPED",
  resync: null,
  catchUp: null,
  backup: "BACKUP_STOPPED",
  restore: "RESTORE_STOPPED",
};
type LongWorkContext = Pick<MemberContext, "nowMs" | "event" | "changed">;

export class LongWork {
  readonly #context: LongWorkContext;
  readonly #running = new Map<string, Running>();

  constructor(context: LongWorkContext) {
    this.#context = context;
  }

  /** To be called whenever it has got on; how often does not matter. */
  note(note: WorkNote): void {
    const nowMs = this.#context.nowMs();
    const key = keyOf(note);
    const running = this.#running.get(key) ?? begin(note, nowMs);
    this.#running.set(key, running);
    if (running.note.step !== note.step) {
      running.meter = new WorkMeter();
      running.percent = 0;
    }
    running.note = note;
    running.meter.add(nowMs, note.done);
    if (running.announced) this.#report(running, nowMs);
    else this.#announceIfLasting(running);
  }

  /** Whether such work has been noted, and not ended. */
  has(work: Pick<WorkNote, "kind" | "database" | "pid">): boolean {
    return this.#running.has(keyOf(work));
  }

  /**
   * It is done. Null when it took no time worth mentioning.
   * @param amount how much it was in all, in its unit.
   */
  finish(work: Pick<WorkNote, "kind" | "database" | "pid">, amount: number): WorkSummary | null {
    const running = this.#take(work);
    if (running === null) return null;
    const seconds = Math.max(0.1, Math.round((this.#context.nowMs() - running.beganAtMs) / 100) / 10);
    const perSecond = Math.round(amount / seconds);
    const code = FINISHED[work.kind];
    const { unit = "bytes" } = running.note;
    const data = { [unit]: amount, seconds, perSecond };
    const message = `${WORK_WORDS[work.kind]} finished: ${inUnit(amount, unit)} in ${formatSeconds(seconds)}`;
    if (code !== null) this.#context.event("info", code, work.database, message, data);
    return { seconds, perSecond };
  }

  /** It has failed, or is no longer wanted. */
  stop(work: Pick<WorkNote, "kind" | "database" | "pid">, why: string): void {
    const running = this.#take(work);
    const code = STOPPED[work.kind];
    if (running === null || code === null) return;
    const { step, done } = running.note;
    const message = `${WORK_WORDS[work.kind]} has stopped while ${step}: ${why}`;
    this.#context.event("warn", code, work.database, message, { step, done });
  }

  /** Stops this process's work on databases that are not among these: they are followed no longer. */
  retain(databases: readonly string[]): void {
    for (const { note } of [...this.#running.values()])
      if (note.pid === undefined && !databases.includes(note.database)) this.stop(note, "it is no longer followed");
  }

  /** What of it lasts, the eldest first. Work of processes that are gone is stopped. */
  views(): ActivityView[] {
    for (const { note } of [...this.#running.values()])
      if (note.pid !== undefined && !isAlive(note.pid)) this.stop(note, `its process ${note.pid} is gone`);
    for (const running of this.#running.values()) this.#announceIfLasting(running);
    return [...this.#running.values()].filter(({ announced }) => announced).map(viewOf);
  }

  #take(work: Pick<WorkNote, "kind" | "database" | "pid">): Running | null {
    const running = this.#running.get(keyOf(work)) ?? null;
    this.#running.delete(keyOf(work));
    if (running !== null) this.#announceIfLasting(running);
    if (running?.announced !== true) return null;
    this.#context.changed();
    return running;
  }

  #announceIfLasting(running: Running): void {
    const nowMs = this.#context.nowMs();
    if (running.announced || nowMs - running.beganAtMs < LASTING_MS) return;
    running.announced = true;
    running.eventAtMs = nowMs;
    running.percent = tenth(running);
    const { kind, database, step, total, unit = "bytes" } = running.note;
    const of = total === null ? "" : ` of ${inUnit(total, unit)}`;
    const code = STARTED[kind];
    if (code !== null)
      this.#context.event("info", code, database, `${WORK_WORDS[kind]}${of}: ${step}`, { step, total });
    this.#context.changed();
  }

  #report(running: Running, nowMs: number): void {
    const percent = tenth(running);
    const isLate = nowMs - running.eventAtMs >= running.intervalMs;
    if (percent <= running.percent && !isLate) return;
    if (percent <= running.percent) running.intervalMs *= 2;
    running.percent = Math.max(percent, running.percent);
    running.eventAtMs = nowMs;
    const { kind, database, step, done, total } = running.note;
    const { percent: at, perSecond, secondsLeft } = running.meter.rate(total);
    const data = { step, done, total, percent: at, perSecond: rounded(perSecond), secondsLeft };
    this.#context.event("info", PROGRESS[kind], database, activityText(viewOf(running)), data);
    this.#context.changed();
  }
}

function begin(note: WorkNote, nowMs: number): Running {
  const meter = new WorkMeter();
  return {
    note,
    beganAtMs: nowMs - (note.elapsedMs ?? 0),
    meter,
    announced: false,
    percent: 0,
    eventAtMs: nowMs,
    intervalMs: FIRST_INTERVAL_MS,
  };
}

function keyOf({ kind, database, pid }: Pick<WorkNote, "kind" | "database" | "pid">): string {
  return `${kind} ${pid ?? ""} ${database}`;
}

function viewOf({ note, meter, beganAtMs }: Running): ActivityView {
  const { kind, database, step, done, total, unit = "bytes" } = note;
  const rate: WorkRate = meter.rate(total);
  const since = new Date(beganAtMs).toISOString();
  return { ...{ kind, database, step, done, total, unit, since }, ...rate, perSecond: rounded(rate.perSecond) };
}

function rounded(perSecond: number | null): number | null {
  return perSecond === null ? null : Math.round(perSecond * 10) / 10;
}

/** The last tenth that is done, in percent. */
function tenth({ meter, note }: Running): number {
  return Math.floor((meter.rate(note.total).percent ?? 0) / EVENT_PERCENT) * EVENT_PERCENT;
}

/** A process of another user is alive, too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
