/** A benchmark's report for people. */
import { formatTable } from "../../src/cli/table.ts";
import { type BenchReport, type BenchTable, type Cell, isMet, type Target } from "./benchmark.ts";
import { formatSpread } from "./statistics.ts";

export function reportLines(report: BenchReport): string[] {
  return [
    ...report.tables.flatMap(tableLines),
    ...report.targets.map(targetLine),
    ...report.skipped.map((line) => `left out: ${line}`),
  ];
}

function tableLines({ title, columns, rows }: BenchTable): string[] {
  const shape = columns.map((column, index) =>
    index === 0 ? { title: column } : { title: column, align: "right" as const },
  );
  return [
    title,
    ...formatTable(
      shape,
      rows.map((row) => row.map(cellText)),
    ).map((line) => `  ${line}`),
    "",
  ];
}

function cellText(cell: Cell): string {
  if (cell === null) return "-";
  if (typeof cell === "string") return cell;
  return typeof cell === "number" ? numberText(cell) : formatSpread(cell, digitsOf(cell.median));
}

function targetLine(target: Target): string {
  const { name, measured, atMost, atLeast } = target;
  const bound = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  return `${isMet(target) ? "reached    " : "NOT reached"}  ${name}: ${numberText(measured)} (${bound})`;
}

function numberText(value: number): string {
  return value.toFixed(digitsOf(value));
}

/** Three digits that say something, and whole numbers whole. */
function digitsOf(value: number): number {
  if (Number.isInteger(value)) return 0;
  const size = Math.abs(value);
  return size >= 100 ? 0 : size >= 10 ? 1 : 2;
}
