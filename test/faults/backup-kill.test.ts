import { test } from "vitest";
import { runBackupKillScenario } from "../support/backup-kill-scenario.ts";

const HOUR_MS = 3_600_000;

test("backups and integration go on while either is killed in 500 rounds", { timeout: HOUR_MS }, async ({ signal }) => {
  await runBackupKillScenario({ rounds: 500, signal });
});
