/**
 * The parts of a daemon that run side by side, each under a name, and can be stopped and started one by one.
 *
 * Guarantee: after {@link UnitSupervisor.reconcile} exactly the desired units run, or have ended by themselves. No unit is
 * started before everything that was to stop has ended, so that a unit never runs beside its predecessor.
 */
import { Serial } from "./serial.ts";

export interface Unit {
  /** A running unit goes on as long as this stays the same. */
  readonly fingerprint: string;
  /** Runs until `stop` is aborted, and has then undone or finished what it began. */
  start(stop: AbortSignal): Promise<void>;
}

interface RunningUnit {
  readonly fingerprint: string;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export class UnitSupervisor {
  readonly #onFailure: (name: string, error: unknown) => void;
  readonly #running = new Map<string, RunningUnit>();
  readonly #serial = new Serial();

  /** @param onFailure told when a unit has failed; the unit is not started again before its fingerprint changes. */
  constructor(onFailure: (name: string, error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  get names(): string[] {
    return [...this.#running.keys()];
  }

  /**
   * Stops the units that are not desired or have another fingerprint now, awaits their end, calls `between`, and starts those
   * that do not run. One call at a time; never to be awaited by a unit, which would wait for its own end.
   * Throws what `between` throws; then nothing was started.
   */
  async reconcile(desired: ReadonlyMap<string, Unit>, between: () => Promise<void> = async () => {}): Promise<void> {
    await this.#serial.run(async () => {
      const outdated = [...this.#running].filter(([name, unit]) => desired.get(name)?.fingerprint !== unit.fingerprint);
      for (const [name, unit] of outdated) {
        this.#running.delete(name);
        unit.stop.abort();
      }
      await Promise.all(outdated.map(([, unit]) => unit.ended));
      await between();
      for (const [name, unit] of desired) if (!this.#running.has(name)) this.#start(name, unit);
    });
  }

  /** Stops all units and awaits their end. */
  async stop(): Promise<void> {
    await this.reconcile(new Map());
  }

  #start(name: string, unit: Unit): void {
    const stop = new AbortController();
    const ended = unit.start(stop.signal).catch((error: unknown) => this.#onFailure(name, error));
    this.#running.set(name, { fingerprint: unit.fingerprint, stop, ended });
  }
}
