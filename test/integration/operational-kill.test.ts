import { test } from "vitest";
import { runOperationalKillScenario } from "../support/operational-kill-scenario.ts";

test("an operational daemon that was killed continues or resyncs, never wrongly continues", async () => {
  await runOperationalKillScenario({ kills: 8 });
});
