import { test } from "vitest";
import { runRandomDeliveryScenario } from "../support/random-delivery-scenario.ts";

test("whatever happens to 200 segments on their way, a mirror only ever shows states that there were, and ends equal (30 times)", async () => {
  await runRandomDeliveryScenario({ cases: 30 });
});
