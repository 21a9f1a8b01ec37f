/** A mirror whose integrating process is killed over and over, and what must hold after each kill. */
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import Sqlite from "better-sqlite3";
import { expect } from "vitest";
import { Child } from "./child-fleet.ts";
import { hashDatabase, MirrorRecordStore, type PendingIntent } from "./mirror-history.ts";

/** In the order in which they come; each is a place to die. */
export const STEPS = [
  "intended",
  "lock",
  "header",
  "append",
  "commit",
  "appended",
  "synced",
  "indexed",
  "header2",
  "header1",
  "released",
  "integrated",
  "checkpoint",
  "truncate",
  "checkpointed",
] as const;

/** How the next process is to die: at a step, at a random moment, or while it checkpoints. */
export type Death = { readonly step: (typeof STEPS)[number] } | "any moment" | "in checkpoint";

export class KilledMirror {
  readonly directory: string;
  readonly path: string;
  /** Kills by step or kind. */
  readonly kills: Record<string, number> = {};
  /** Openings that found the announced commit. */
  adopted = 0;
  laps = 0;
  readonly #history: string;
  readonly #hashes: readonly string[];

  constructor(history: string, hashes: readonly string[]) {
    this.#history = history;
    this.#hashes = hashes;
    this.directory = join(history, "mirror");
    this.path = join(this.directory, "mirror.db");
  }

  get killed(): number {
    return Object.values(this.kills).reduce((sum, count) => sum + count, 0);
  }

  /** A new mirror that holds the snapshot. Nobody may have the old one open. */
  async restart(): Promise<void> {
    rmSync(this.directory, { recursive: true, force: true });
    mkdirSync(this.directory);
    symlinkSync(join(this.#history, "changes"), join(this.directory, "changes"));
    this.laps++;
    await this.#run({ step: "intended" }, 1);
    this.#check();
  }

  /** One life of the integrating process; returns false when it came to the end of the history instead. */
  async killOnce(death: Death): Promise<boolean> {
    const finished = await this.#run(death, 1 + Math.floor(Math.random() * 6));
    if (!finished) {
      const name = typeof death === "string" ? death : death.step;
      this.kills[name] = (this.kills[name] ?? 0) + 1;
    }
    this.#check();
    return !finished;
  }

  /** Lets a process come to the end of the history, and compares the mirror with it. */
  async complete(): Promise<void> {
    expect(await this.#run("never", 1)).toBe(true);
    expect(this.#stateNow()).toBe(this.#hashes.length - 1);
  }

  async #run(death: Death | "never", occurrence: number): Promise<boolean> {
    const step = typeof death === "string" ? "-" : death.step;
    const rare = step === "header" || step === "checkpoint" || step === "truncate" || step === "checkpointed";
    const seed = Math.floor(Math.random() * 1e9);
    const args = [this.directory, step, String(rare ? 1 : occurrence), String(seed)];
    const child: Child = new Child("integrating-process.ts", args, (line) => {
      if (death === "in checkpoint" && line === "checkpoint") busyWait(Math.random() * 4, () => child.kill());
    });
    const timer = death === "any moment" ? setTimeout(() => child.kill(), 120 + Math.random() * 400) : undefined;
    const { code, lines } = await child.exit;
    clearTimeout(timer);
    if (lines.includes("opened adopted")) this.adopted++;
    expect(code, lines.join("\n")).toBeOneOf([null, 0]);
    return lines.includes("done");
  }

  /** The process is dead: the image is the recorded state or the announced one. */
  #check(): void {
    const store = new MirrorRecordStore(this.directory);
    const sequence = store.get("sequence", 0);
    const intent = store.get<PendingIntent | null>("intent", null);
    store.close();
    expect(this.#stateNow()).toBeOneOf(intent === null ? [sequence] : [sequence, intent.to]);
  }

  /** Number of the change after which the history's database was what SQLite now reads; -1 for none. */
  #stateNow(): number {
    const database = new Sqlite(this.path, { readonly: true, timeout: 10_000 });
    try {
      expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
      return this.#hashes.indexOf(hashDatabase(database));
    } finally {
      database.close();
    }
  }
}

/** A timer would come too late to die inside a checkpoint of a few milliseconds. */
function busyWait(ms: number, then: () => void): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
  then();
}
