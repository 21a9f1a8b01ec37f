import { join } from "node:path";
import { makeDirectory, writeFileDurably } from "../durable-files.ts";
import type { DivergenceReport } from "./divergence-report.ts";
import { reportText } from "./report-text.ts";

export const REPORT_TEXT_NAME = "report.txt";
export const REPORT_JSON_NAME = "report.json";

/**
 * Writes the report for people and the one for programs into a directory, which is made. Each file is there as a whole or
 * not at all, and replaces an older one; they are durable when this returns.
 */
export function writeReport(directory: string, report: DivergenceReport): void {
  makeDirectory(directory);
  writeFileDurably(join(directory, REPORT_JSON_NAME), `${JSON.stringify(report, null, 2)}\n`);
  // Last, because it is what a person looks for: where it is, the other one is too.
  writeFileDurably(join(directory, REPORT_TEXT_NAME), reportText(report));
}
