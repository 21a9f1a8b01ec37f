import { test } from "vitest";
import { runBackupKillScenario } from "../support/backup-kill-scenario.ts";

const LIMIT_MS = 1_800_000;

test("backups and integration go on while either is killed in 500 rounds", { timeout: LIMIT_MS }, async ({ signal }) => {
  await runBackupKillScenario({ rounds: 500, signal });
});
