/**
 * The named steps of the commands that change roles: printed as they are done, also those that the daemon does by itself after
 * a crash, and the points at which a fault test kills it. A step is taken when what it says is durable.
 */

export const RUNBOOK_STEPS = ["promote:consented", "promote:claimed", "promote:served", "promote:told"] as const;

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
