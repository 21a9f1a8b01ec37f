import { test } from "vitest";
import { runMirrorKillScenario } from "../support/mirror-kill-scenario.ts";

test("readers see no wrong state while the mirror's daemon is killed 100 times", async () => {
  await runMirrorKillScenario({ kills: 100 });
});
