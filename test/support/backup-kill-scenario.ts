/**
 * Backups beside a mirror's daemon that integrates all the time, with kill -9 of either at random moments: neither is ever
 * stuck, and every backup that was finished is a state that the journal of the operational member proves.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type ListedBackup, listBackups } from "../../src/backup/backup-directory.ts";
import { positionOf } from "../../src/backup/backup-sidecar.ts";
import { verifyBackup } from "../../src/backup/verify-backup.ts";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { startAfterimage } from "../cli/afterimage.ts";
import {
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  PAIR,
  startAll,
  stopAndCompare,
  untilLevel,
  untilSet,
} from "./mirror-set.ts";
import { lookAtOrders, startApplication, stopApplication } from "./orders.ts";

const ORDERS_PER_SECOND = 100;
/** A backup of this database takes about half of it. */
const LONGEST_WAIT_MS = 900;

interface Ending {
  readonly finished: boolean;
  readonly refused: boolean;
}

export async function runBackupKillScenario(options: { rounds: number; signal: AbortSignal }): Promise<void> {
  const set = createSet(PAIR);
  const application = await startApplication(set, ORDERS_PER_SECOND);
  await startAll(set);
  const checked = new Set<string>();
  const endings = { finished: 0, killed: 0, refused: 0, daemonsKilled: 0 };
  for (let round = 0; round < options.rounds && !options.signal.aborted; round++) {
    const victim = (["backup", "daemon", "nobody"] as const)[round % 3];
    const { finished, refused } = await oneRound(set, victim ?? "nobody");
    endings.daemonsKilled += victim === "daemon" ? 1 : 0;
    endings.refused += refused ? 1 : 0;
    endings[finished ? "finished" : "killed"] += 1;
    await checkNew(set, checked);
    const before = set.databaseStatus(MIRROR)?.integrated?.txid ?? "";
    await untilSet(set, "integration goes on", () => (set.databaseStatus(MIRROR)?.integrated?.txid ?? "") > before);
  }
  const { committed, orders } = await stopApplication(application);
  expect(await untilLevel(set, lookAtOrders)).toEqual({ commits: committed, orders });
  await stopAndCompare(set);
  expect(checked.size).toBeGreaterThan(options.rounds / 4);
  console.log(`${JSON.stringify(endings)}: ${checked.size} backups, each sound and at a position of the journal`);
}

/** A backup is started; whoever is to be killed is, at any moment of it. */
async function oneRound(set: DemoSet, victim: "backup" | "daemon" | "nobody"): Promise<Ending> {
  const args = ["backup", "--json", "--config", set.configPath, "--node", MIRROR];
  const backup = startAfterimage(args, { cwd: set.root });
  if (victim !== "nobody") await sleep(Math.random() * LONGEST_WAIT_MS);
  if (victim === "backup") backup.child.kill("SIGKILL");
  const daemon = set.daemon(MIRROR);
  if (victim === "daemon" && daemon !== null) {
    await killDaemon(daemon);
    set.startDaemon(MIRROR);
  }
  const { code, signal, stdout } = await backup.ended;
  if (signal === "SIGKILL") return { finished: false, refused: false };
  const refused = stdout.includes("BACKUP_WHILE_INTEGRATING");
  expect({ code, stdout }).toMatchObject({ code: refused ? 4 : 0 });
  return { finished: !refused, refused };
}

async function checkNew(set: DemoSet, checked: Set<string>): Promise<void> {
  for (const backup of listBackups(join(set.statePath(MIRROR), "backups"))) {
    if (checked.has(backup.path) || backup.fault?.code === "BACKUP_MISSING") continue;
    expect(backup.fault).toBeNull();
    const options = { signal: new AbortController().signal, onProgress: () => undefined };
    expect(await verifyBackup(backup.path, "integrity_check", options)).toMatchObject({ ok: true, problems: [] });
    await untilSet(set, "the operational journal has the position", () => isProven(set, backup));
    checked.add(backup.path);
  }
}

/** Whether the operational member cut a segment that ends in the very pages of the backup. */
function isProven(set: DemoSet, { sidecar }: ListedBackup): boolean {
  using store = StateStore.openReadOnly(join(set.statePath(OPERATIONAL), "state.db"));
  const position = sidecar === null ? null : positionOf(sidecar);
  if (position === null) return false;
  return store.catalogue
    .endingAt(DATABASE, position.txid)
    .some(({ postApplyChecksum }) => postApplyChecksum === position.checksum);
}
