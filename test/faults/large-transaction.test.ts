import { test } from "vitest";
import { runLargeTransactionScenario } from "../support/large-transaction-scenario.ts";

test("a transaction of 1 GiB passes through with bounded memory", async () => {
  await runLargeTransactionScenario({ mebibytes: 1024 });
});
