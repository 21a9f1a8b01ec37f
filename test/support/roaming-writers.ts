/** Writers that go to whichever member accepts writes, for tests in which the operational role moves. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ManagedProcess } from "../../src/demo/managed-process.ts";
import { type EntryCounts, startSupportProcess } from "./entries.ts";

const finalLineSchema = z.object({ committed: z.int(), interruptionsMs: z.array(z.number()) });

export interface RoamingFigures {
  /** Rows that each writer saw committed, by its name. */
  readonly counts: EntryCounts;
  /** For how long a writer was refused everywhere, each time that it was. */
  readonly interruptionsMs: readonly number[];
}

export class RoamingWriters {
  readonly #processes: readonly { readonly process: ManagedProcess; readonly log: string }[];

  /** @param paths of one database on all members, where it is writable first. */
  constructor(directory: string, names: readonly string[], paths: readonly string[], pauseMs = 5) {
    this.#processes = names.map((name) => {
      const log = join(directory, `${name}.log`);
      const args = [name, String(pauseMs), ...paths];
      return { process: startSupportProcess(name, process.execPath, "roaming-process.ts", args, log), log };
    });
  }

  /** @throws Error when one of them failed. */
  async stop(): Promise<RoamingFigures> {
    const figures = await Promise.all(
      this.#processes.map(async ({ process, log }) => {
        await process.terminate();
        if (process.exit?.code !== 0) throw new Error(`${process.name} failed: ${process.logTail()}`);
        const line = readFileSync(log, "utf8").trimEnd().split("\n").at(-1) ?? "";
        return { name: process.name, ...finalLineSchema.parse(JSON.parse(line)) };
      }),
    );
    return {
      counts: Object.fromEntries(figures.map(({ name, committed }) => [name, committed]).sort()),
      interruptionsMs: figures.flatMap(({ interruptionsMs }) => interruptionsMs),
    };
  }
}
