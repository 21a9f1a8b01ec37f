import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/sum-test-results.js", import.meta.url));

function report(numPassedTests: number, numFailedTests: number, testResults: object[] = []): string {
  return JSON.stringify({ numPassedTests, numFailedTests, numPendingTests: 1, numTodoTests: 0, testResults });
}

function sum(reports: readonly string[]) {
  const directory = temporaryDirectory();
  for (const [index, text] of reports.entries()) writeFileSync(join(directory, `${index}.json`), text);
  const { status, stdout } = spawnSync(process.execPath, [SCRIPT, directory], { encoding: "utf8" });
  return { status, stdout };
}

test("adds up several reports", () => {
  expect(sum([report(3, 0), report(4, 0)])).toEqual({ status: 0, stdout: "7 passed, 0 failed, 2 skipped\n" });
});

test("a failed test fails", () => {
  expect(sum([report(3, 1)])).toEqual({ status: 1, stdout: "3 passed, 1 failed, 1 skipped\n" });
});

test("a file that could not be loaded counts as a failure", () => {
  const broken = { status: "failed", assertionResults: [] };
  expect(sum([report(3, 0, [broken])])).toEqual({ status: 1, stdout: "3 passed, 1 failed, 1 skipped\n" });
});

test("no report at all is no success", () => {
  expect(sum([])).toEqual({ status: 1, stdout: "0 passed, 0 failed, 0 skipped\n" });
});
