import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/sum-test-results.js", import.meta.url));

type TestStatus = "passed" | "failed" | "skipped" | "todo";

function file(name: string, ...statuses: TestStatus[]): object {
  const assertionResults = statuses.map((status, index) => ({
    status,
    fullName: `test ${index}`,
    failureMessages: status === "failed" ? ["expected 1 to be 2"] : [],
  }));
  return {
    name: join(process.cwd(), name),
    status: statuses.includes("failed") ? "failed" : "passed",
    assertionResults,
  };
}

function sum(reports: Readonly<Record<string, readonly object[]>>) {
  const directory = temporaryDirectory();
  for (const [name, testResults] of Object.entries(reports)) {
    writeFileSync(join(directory, name), JSON.stringify({ testResults }));
  }
  const { status, stdout } = spawnSync(process.execPath, [SCRIPT, directory], { encoding: "utf8" });
  return { status, stdout };
}

test("adds up several reports", () => {
  const reports = {
    "a.json": [file("x.test.ts", "passed", "todo")],
    "b.json": [file("y.test.ts", "passed", "skipped")],
  };
  expect(sum(reports)).toEqual({ status: 0, stdout: "2 passed, 0 failed, 2 skipped\n" });
});

test("a failed test fails, and is named with its message", () => {
  expect(sum({ "a.json": [file("x.test.ts", "passed", "failed")] })).toEqual({
    status: 1,
    stdout: "FAILED x.test.ts: test 1\n  expected 1 to be 2\n1 passed, 1 failed, 0 skipped\n",
  });
});

test("a file that could not be loaded counts as a failure", () => {
  const broken = {
    name: join(process.cwd(), "x.test.ts"),
    status: "failed",
    message: "no such file",
    assertionResults: [],
  };
  expect(sum({ "a.json": [broken, file("y.test.ts", "passed")] })).toEqual({
    status: 1,
    stdout: "FAILED x.test.ts\n  no such file\n1 passed, 1 failed, 0 skipped\n",
  });
});

test("a failure that did not come again is unsteady, and one that did has failed", () => {
  const first = [file("x.test.ts", "failed", "passed"), file("y.test.ts", "failed"), file("z.test.ts", "passed")];
  const again = [file("x.test.ts", "passed", "passed"), file("y.test.ts", "failed")];
  const { status, stdout } = sum({ "a.again.json": again, "a.json": first });
  expect(status).toBe(1);
  expect(stdout.split("\n").filter((line) => !line.startsWith("  "))).toEqual([
    "UNSTEADY x.test.ts: test 0",
    "UNSTEADY y.test.ts: test 0",
    "FAILED y.test.ts: test 0",
    "3 passed, 1 failed, 0 skipped",
    "",
  ]);
  expect(sum({ "a.again.json": again.slice(0, 1), "a.json": first.slice(0, 1) }).status).toBe(0);
});

test("lists the files with failures", () => {
  const report = join(temporaryDirectory(), "a.json");
  writeFileSync(report, JSON.stringify({ testResults: [file("x.test.ts", "failed"), file("y.test.ts", "passed")] }));
  const { stdout } = spawnSync(process.execPath, [SCRIPT, "--failed", report], { encoding: "utf8" });
  expect(stdout).toBe(`${join(process.cwd(), "x.test.ts")}\n`);
});

test("no report at all is no success", () => {
  expect(sum({})).toEqual({ status: 1, stdout: "0 passed, 0 failed, 0 skipped\n" });
});
