import { test } from "vitest";
import { runOperationalKillScenario } from "../support/operational-kill-scenario.ts";

test("an operational daemon that was killed 100 times continues or resyncs, never wrongly continues", async () => {
  await runOperationalKillScenario({ kills: 100 });
});
