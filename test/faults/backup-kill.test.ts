/** AFTERIMAGE_ROUNDS sets the number of rounds; 500 take some ten minutes. */
import { test } from "vitest";
import { runBackupKillScenario } from "../support/backup-kill-scenario.ts";

const ROUNDS = Number(process.env.AFTERIMAGE_ROUNDS ?? 150);
const LIMIT_MS = 1_800_000;

test(`backups and integration go on while either is killed in ${ROUNDS} rounds`, { timeout: LIMIT_MS }, async ({
  signal,
}) => {
  await runBackupKillScenario({ rounds: ROUNDS, signal });
});
