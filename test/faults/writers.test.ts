import { test } from "vitest";
import { runWritersScenario } from "../support/writers-scenario.ts";

test("no commit of three writers beside a rude checkpointer is missing on any mirror after a minute", async () => {
  await runWritersScenario({ seconds: 60 });
});
