import { test } from "vitest";
import { runLargeTransactionScenario } from "../support/large-transaction-scenario.ts";

test("a transaction of 200 MiB passes through with bounded memory", async () => {
  await runLargeTransactionScenario({ mebibytes: 200 });
});
