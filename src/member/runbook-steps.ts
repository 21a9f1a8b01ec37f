/**
 * The named steps of the commands that change roles: printed as they are done, also those that the daemon does by itself after
 * a crash, and the points at which a fault test kills it. A step is taken when what it says is durable.
 */

/** Of the member that hands over and, from `found` to `served`, of the one that takes over. */
const SWITCHOVER_STEPS = [
  "switchover:checked",
  "switchover:level",
  "switchover:begun",
  "switchover:fenced",
  "switchover:shipped",
  "switchover:recorded",
  "switchover:offered",
  "switchover:found",
  "switchover:taken",
  "switchover:claimed",
  "switchover:served",
  "switchover:learned",
  "switchover:following",
  "switchover:withdrawing",
  "switchover:withdrawn",
  "switchover:undone",
] as const;

export const RUNBOOK_STEPS = [
  ...SWITCHOVER_STEPS,
  "promote:collecting",
  "promote:collected",
  "promote:consented",
  "promote:claimed",
  "promote:served",
  "promote:told",
  "demote:consented",
  "demote:begun",
  "demote:fenced",
  "demote:cut",
  "demote:shipped",
  "drill:begun",
  "drill:copied",
  "drill:integrated",
  "drill:served",
  "drill:scripted",
  "drill:removed",
  "rejoin:cut",
  "rejoin:kept",
  "rejoin:proved",
  "rejoin:begun",
  "rejoin:copied",
  "rejoin:reported",
] as const;

export type RunbookStep = (typeof RUNBOOK_STEPS)[number];

export interface StepReport {
  readonly step: RunbookStep;
  /** One sentence. */
  readonly message: string;
}

export type StepListener = (report: StepReport) => void;

export class RunbookSteps {
  readonly #listeners = new Set<StepListener>();
  readonly #onStep: (step: RunbookStep) => void;

  /** @param onStep for fault tests. */
  constructor(onStep: (step: RunbookStep) => void = () => {}) {
    this.#onStep = onStep;
  }

  /** Call when it is done. */
  done(step: RunbookStep, message: string): void {
    for (const listener of this.#listeners) listener({ step, message });
    this.#onStep(step);
  }

  /** Tells `listener` of every step that is done while `work` is. */
  async during<T>(listener: StepListener | undefined, work: () => Promise<T>): Promise<T> {
    if (listener === undefined) return await work();
    this.#listeners.add(listener);
    try {
      return await work();
    } finally {
      this.#listeners.delete(listener);
    }
  }
}
