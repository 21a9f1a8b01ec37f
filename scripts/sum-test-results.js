/**
 * `sum-test-results.js DIRECTORY`: prints `N passed, N failed, N skipped` over the vitest JSON reports of a directory, and
 * before it each failure with the first lines of its message; exits 1 when there is no report, or when a test or a whole
 * test file failed. A report NAME.again.json is of files of NAME.json that were run a second time: what it says of them
 * counts, and a failure that did not come again is printed as unsteady.
 *
 * `sum-test-results.js --failed REPORT`: prints the files of a report that have a failure, a line each.
 *
 * Plain JavaScript: .ci/run starts it with whatever Node there is.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const MESSAGE_LINES = 12;

if (process.argv[2] === "--failed") {
  for (const file of filesOf(process.argv[3])) if (failuresOf(file).length > 0) console.log(file.name);
} else sumUp(process.argv[2] ?? ".");

function sumUp(directory) {
  const names = readdirSync(directory).filter((name) => name.endsWith(".json"));
  // Second runs come last and take the place of the first ones.
  const ordered = names.toSorted((a, b) => Number(a.endsWith(".again.json")) - Number(b.endsWith(".again.json")));
  const files = new Map();
  for (const name of ordered) {
    for (const file of filesOf(path.join(directory, name))) {
      if (files.has(file.name)) for (const failure of failuresOf(files.get(file.name))) print("UNSTEADY", failure);
      files.set(file.name, file);
    }
  }
  const failures = [...files.values()].flatMap(failuresOf);
  for (const failure of failures) print("FAILED", failure);
  const statuses = [...files.values()].flatMap((file) => file.assertionResults.map(({ status }) => status));
  const passed = statuses.filter((status) => status === "passed").length;
  const skipped = statuses.filter((status) => status !== "passed" && status !== "failed").length;
  console.log(`${passed} passed, ${failures.length} failed, ${skipped} skipped`);
  process.exitCode = names.length === 0 || failures.length > 0 ? 1 : 0;
}

function filesOf(report) {
  return JSON.parse(readFileSync(report, "utf8")).testResults;
}

/** A file that cannot be loaded, or whose hooks fail, has no failed test to count; it is one failure. */
function failuresOf(file) {
  const name = path.relative(process.cwd(), file.name);
  const failed = file.assertionResults.filter(({ status }) => status === "failed");
  if (failed.length === 0) return file.status === "failed" ? [{ title: name, message: file.message ?? "" }] : [];
  return failed.map(({ fullName, failureMessages }) => ({
    title: `${name}: ${fullName}`,
    message: failureMessages.join("\n"),
  }));
}

function print(verdict, { title, message }) {
  console.log(`${verdict} ${title}`);
  for (const line of message.split("\n").slice(0, MESSAGE_LINES)) console.log(`  ${line}`);
}
