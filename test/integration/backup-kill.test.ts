import { test } from "vitest";
import { runBackupKillScenario } from "../support/backup-kill-scenario.ts";

test("backups and integration go on while either is killed", async ({ signal }) => {
  await runBackupKillScenario({ rounds: 12, signal });
});
