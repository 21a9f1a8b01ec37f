import { test } from "vitest";
import { cutAtRandomPoints } from "../transport/sftp-cut-scenario.ts";

test("50 puts that are cut at random points leave no half file, and each succeeds when it is made again", async () => {
  await cutAtRandomPoints(50);
});
