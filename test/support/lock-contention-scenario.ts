/** Processes that integrate and make backups by turns, each killed with kill -9 at random: never two at once, never stuck. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type RunningChild, startChild } from "./child-process.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const KINDS = ["integration", "backup", "backup"] as const;
const LONGEST_LIFE_MS = 60;

export async function runLockContentionScenario(options: { kills: number; signal: AbortSignal }): Promise<void> {
  const state = temporaryDirectory();
  const start = (kind: string) => startChild(new URL("contending-process.ts", import.meta.url), [state, kind]);
  const children: RunningChild[] = KINDS.map(start);
  const wrong: string[] = [];
  let kills = 0;
  for (; kills < options.kills && !options.signal.aborted; kills++) {
    const at = Math.floor(Math.random() * KINDS.length);
    const child = children[at];
    const kind = KINDS[at];
    if (child === undefined || kind === undefined) throw new Error("no child");
    // Every process gets the database at least once: a lock that outlived its holder would keep it from that.
    await child.line((line) => line.startsWith("turns"));
    await sleep(Math.random() * LONGEST_LIFE_MS);
    await child.kill();
    wrong.push(...child.lines.filter((line) => line.startsWith("both")));
    children[at] = start(kind);
  }
  for (const child of children) {
    await child.line((line) => line.startsWith("turns"));
    await child.kill();
    wrong.push(...child.lines.filter((line) => line.startsWith("both")));
  }
  expect(wrong).toEqual([]);
  console.log(`${kills} kills of processes that contend for a database: never two at once, none stuck`);
}
