import { test } from "vitest";
import { runLockContentionScenario } from "../support/lock-contention-scenario.ts";

test("integration and backups exclude each other through 500 kills", async ({ signal }) => {
  await runLockContentionScenario({ kills: 500, signal });
});
