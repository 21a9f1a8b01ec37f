/**
 * Prints `N passed, N failed, N skipped` over the vitest JSON reports of a directory; exits 1 when there is none, or when
 * a test or a whole test file failed. Plain JavaScript: .ci/run starts it with whatever Node there is.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const directory = process.argv[2] ?? ".";
const reports = readdirSync(directory)
  .filter((name) => name.endsWith(".json"))
  .map((name) => JSON.parse(readFileSync(path.join(directory, name), "utf8")));

const sum = { passed: 0, failed: 0, skipped: 0 };
for (const report of reports) {
  sum.passed += report.numPassedTests;
  // A file that cannot be loaded has no tests to count; it is one failure.
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  );
  sum.failed += report.numFailedTests + brokenFiles.length;
  sum.skipped += report.numPendingTests + report.numTodoTests;
}
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = reports.length === 0 || sum.failed > 0 ? 1 : 0;
