/** A report for people: what only the lost copy has comes first, because that is what somebody must decide about. */
import type {
  ChangedRow,
  DivergenceReport,
  Listing,
  NamedValue,
  ReportedRow,
  SchemaDifference,
  TableDifference,
} from "./divergence-report.ts";
import type { ReportedValue } from "./reported-value.ts";

/** What a terminal might obey, or show in another order than it is written. */
const INVISIBLE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const PLAIN_NAME = /^[\p{L}_][\p{L}\p{N}_]*$/u;

/** Ends with a line feed. */
export function reportText(report: DivergenceReport): string {
  const { lost, winning, positions, schema, tables, equalTables, notCompared } = report;
  const at = (position: string | undefined) => (position === undefined ? "" : ` at ${position}`);
  const lines = [
    "Two copies of a database, compared row by row",
    `  lost:    ${shown(lost)}${at(positions?.lost)}`,
    `  winning: ${shown(winning)}${at(positions?.winning)}`,
    ...(positions === undefined ? [] : [`  both go back to ${positions.fork ?? "no common state"}`]),
    "",
  ];
  if (report.equal) lines.push("They are equal.", "");
  if (schema.length > 0)
    lines.push(`Definitions: ${counted(schema.length, "differs", "differ")}`, ...schema.flatMap(schemaLines), "");
  for (const table of tables) lines.push(...tableLines(table), "");
  for (const { name, reason } of notCompared) lines.push(`Rows not compared: ${nameText(name)}: ${reason}`);
  if (equalTables.length > 0) lines.push(`Equal: ${equalTables.map(nameText).join(", ")}`);
  return `${lines.join("\n").trimEnd()}\n`;
}

function schemaLines({ type, name, lost, winning }: SchemaDifference): string[] {
  const title = `  ${type} ${nameText(name)}`;
  if (winning === null) return [`${title}, only in the lost copy: ${shown(lost ?? "")}`];
  if (lost === null) return [`${title}, only in the winning copy: ${shown(winning)}`];
  return [title, `    lost:    ${shown(lost)}`, `    winning: ${shown(winning)}`];
}

function tableLines(table: TableDifference): string[] {
  const { onlyInLost, onlyInWinning, changed, rows } = table;
  const counts = [
    `${onlyInLost.count} only in the lost copy`,
    `${onlyInWinning.count} only in the winning copy`,
    ...(table.foundBy === "whole row" ? [] : [`${changed.count} changed`]),
  ];
  return [
    `Table ${nameText(table.name)}: ${counts.join(", ")}`,
    `  (${rows.lost ?? "no"} rows in the lost copy, ${rows.winning ?? "no"} in the winning one; found by ${table.foundBy})`,
    ...listLines("only in the lost copy", onlyInLost, rowText, copiesOf),
    ...listLines("only in the winning copy", onlyInWinning, rowText, copiesOf),
    ...listLines("changed, lost -> winning", changed, changeText),
  ];
}

function listLines<T>(
  title: string,
  list: Listing<T>,
  text: (row: T) => string,
  copiesOf: (row: T) => number = () => 1,
): string[] {
  if (list.count === 0) return [];
  const more = list.count - list.rows.reduce((sum, row) => sum + copiesOf(row), 0);
  return [`  ${title}:`, ...list.rows.map((row) => `    ${text(row)}`), ...(more > 0 ? [`    and ${more} more`] : [])];
}

function copiesOf({ copies }: ReportedRow): number {
  return copies;
}

function rowText({ key, values, copies }: ReportedRow): string {
  const times = copies === 1 ? "" : ` (${copies} times)`;
  return (
    [key, values]
      .filter((part) => part.length > 0)
      .map(valuesText)
      .join(": ") + times
  );
}

function changeText({ key, changes }: ChangedRow): string {
  const texts = changes.map(
    ({ column, lost, winning }) => `${nameText(column)} ${valueText(lost)} -> ${valueText(winning)}`,
  );
  return `${valuesText(key)}: ${texts.join(", ")}`;
}

function valuesText(values: readonly NamedValue[]): string {
  return values.map(({ column, value }) => `${nameText(column)}=${valueText(value)}`).join(", ");
}

function valueText({ type, value, whole }: ReportedValue): string {
  const rest = whole === undefined ? "" : `... (${whole.bytes} bytes, SHA-256 ${whole.sha256})`;
  switch (type) {
    case "null":
      return "NULL";
    case "text":
      return shown(value) + rest;
    case "blob":
      return `x'${value}'${rest}`;
    case "integer":
    case "real":
      return value;
  }
}

function nameText(name: string): string {
  return PLAIN_NAME.test(name) ? name : shown(name);
}

/** In quotes, on one line, with everything that is not to be seen as `\uXXXX`. */
function shown(text: string): string {
  return JSON.stringify(text).replace(INVISIBLE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
