/** kill -9 of a mirror's daemon at random moments with readers open: no reader may see a wrong state, and nothing may be lost. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { createSet, killDaemon, MIRROR, PAIR, startAll, stopAndCompare, untilLevel, untilSet } from "./mirror-set.ts";
import { expectCleanReader, lookAtOrders, startApplication, startReader, stopApplication } from "./orders.ts";

const ORDERS_PER_SECOND = 100;
const LONGEST_LIFE_MS = 700;

export async function runMirrorKillScenario(options: { kills: number }): Promise<void> {
  const set = createSet(PAIR);
  const application = await startApplication(set, ORDERS_PER_SECOND);
  await startAll(set);
  const readers = [await startReader(set, MIRROR, "first reader"), await startReader(set, MIRROR, "second reader")];
  for (let kill = 0; kill < options.kills; kill++) {
    await sleep(Math.random() * LONGEST_LIFE_MS);
    const daemon = set.daemon(MIRROR);
    expect(daemon?.exit).toBeNull();
    if (daemon !== null) await killDaemon(daemon);
    const before = set.databaseStatus(MIRROR)?.integrated?.txid ?? "";
    set.startDaemon(MIRROR);
    // In every other round the next kill may come while the daemon is still starting or catching up.
    if (kill % 2 === 0) {
      await untilSet(set, "integration goes on", () => (set.databaseStatus(MIRROR)?.integrated?.txid ?? "") > before);
    }
  }
  const { committed, orders } = await stopApplication(application);
  expect(await untilLevel(set, lookAtOrders)).toEqual({ commits: committed, orders });
  const reads = readers.map((reader) => reader.latest?.reads ?? 0);
  for (const reader of readers) await expectCleanReader(reader);
  await stopAndCompare(set);
  console.log(
    `${options.kills} kills of the mirror's daemon: ${committed} commits, ${reads.join(" and ")} reads, none wrong`,
  );
}
