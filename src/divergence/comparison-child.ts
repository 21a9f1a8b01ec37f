/**
 * A process that compares two copies and writes the report, because that takes as long as reading both. Arguments: the lost
 * copy, the winning one, where the report goes, and what it says of them, as JSON. It prints `begun` once both are
 * read as they were at that moment, and as its last line `done`, or what it failed with.
 */
import { writeSync } from "node:fs";
import { messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import { compareDatabases } from "./compare-databases.ts";
import { type ComparisonRequest, comparisonRequestSchema } from "./comparison-process.ts";
import { writeReport } from "./write-report.ts";

const STDOUT = 1;
/** Of each of a table's three lists; all rows are counted. */
const ROWS_LISTED = 10_000;

function compare({ lost, winning, directory, shown, positions }: ComparisonRequest): void {
  const onBegun = () => void writeSync(STDOUT, "begun\n");
  const report = compareDatabases(lost, winning, { rowsListed: ROWS_LISTED, onBegun });
  writeReport(directory, { ...report, ...shown, positions });
}

try {
  compare(comparisonRequestSchema.parse(JSON.parse(process.argv[2] ?? "")));
  writeSync(STDOUT, "done\n");
} catch (error) {
  const code = error instanceof AfterimageError ? error.code : "INTERNAL";
  writeSync(STDOUT, `${code}: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
