/**
 * Tries to write into the database of every member all the time, as an application that does not know better, and keeps who
 * could in which epoch: two in one epoch are a split brain.
 */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { StateStore } from "../../src/journal/state-store.ts";
import type { RoleState } from "../../src/roles/role-state.ts";

const INTERVAL_MS = 100;

export interface Machine {
  readonly name: string;
  readonly statePath: string;
  readonly databasePath: string;
}

export class WriteGuard {
  readonly #machines: Machine[];
  /** By epoch, who could write while its own state said that it was of that epoch. */
  readonly #writers = new Map<number, Set<string>>();
  readonly #faults: string[] = [];
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #writes = 0;

  constructor(machines: readonly Machine[]) {
    this.#machines = [...machines];
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  /** Watches one more from now on. */
  watch(machine: Machine): void {
    this.#machines.push(machine);
  }

  get writes(): number {
    return this.#writes;
  }

  /** Epochs in which several could write, and mirrors that could. */
  faults(): string[] {
    const split = [...this.#writers].filter(([, writers]) => writers.size > 1);
    return [...this.#faults, ...split.map(([epoch, writers]) => `epoch ${epoch}: ${[...writers].sort().join(", ")}`)];
  }

  /** By epoch, who could write in it. */
  writers(): Record<string, string[]> {
    return Object.fromEntries([...this.#writers].map(([epoch, writers]) => [epoch, [...writers].sort()]));
  }

  /** Who can write now. */
  unfenced(): string[] {
    return this.#machines.filter((machine) => this.#tryToWrite(machine)).map(({ name }) => name);
  }

  /** By name, such as `deposed 1`; `none` before a first start. */
  roles(): Record<string, string> {
    return Object.fromEntries(
      this.#machines.map(({ name, statePath }) => {
        const state = roleOf(statePath);
        return [name, state === null ? "none" : `${state.role} ${state.epoch}`];
      }),
    );
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (const machine of this.#machines) this.#look(machine);
      await sleep(INTERVAL_MS);
    }
  }

  /** A write counts for the epoch that the member was in before it and after it. */
  #look(machine: Machine): void {
    const before = roleOf(machine.statePath);
    if (!this.#tryToWrite(machine)) return;
    this.#writes++;
    const after = roleOf(machine.statePath);
    if (before === null || after === null || before.role !== after.role || before.epoch !== after.epoch) return;
    if (before.role === "mirror") this.#faults.push(`${machine.name} could write as a mirror in epoch ${before.epoch}`);
    const writers = this.#writers.get(before.epoch) ?? new Set();
    this.#writers.set(before.epoch, writers.add(machine.name));
  }

  #tryToWrite({ name, databasePath }: Machine): boolean {
    if (!existsSync(databasePath)) return false;
    const database = new Database(databasePath, { timeout: 100 });
    try {
      const insert =
        "INSERT INTO entry SELECT ?, 1 + coalesce(max(number), 0), randomblob(100) FROM entry WHERE writer = ?";
      database.prepare(insert).run(name, name);
      return true;
    } catch {
      // Fenced, busy, or no copy yet.
      return false;
    } finally {
      database.close();
    }
  }
}

function roleOf(statePath: string): RoleState | null {
  if (!existsSync(statePath)) return null;
  try {
    using store = StateStore.openReadOnly(statePath);
    return store.role();
  } catch {
    // It is just being made.
    return null;
  }
}
