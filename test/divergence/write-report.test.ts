import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compareDatabases } from "../../src/divergence/compare-databases.ts";
import { reportText } from "../../src/divergence/report-text.ts";
import { writeReport } from "../../src/divergence/write-report.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { copiesOf } from "./copies.ts";

const COPIES = {
  both: `
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL);
    INSERT INTO orders VALUES (1, 'Ana', 10), (2, 'Rui', 20), (3, 'Eva', NULL);
    CREATE TABLE "odd name" (rowid, oid, _rowid_);
    CREATE TABLE same (x);
    CREATE VIRTUAL TABLE search USING fts5(body);`,
  lost: `
    UPDATE orders SET customer = 'Ana Reis', total = NULL WHERE id = 1;
    INSERT INTO orders VALUES (7, char(27) || '[31m"red"' || char(10), 1e300), (8, NULL, 0), (9, NULL, 0);
    INSERT INTO "odd name" VALUES (1, x'beef', -2), (1, x'beef', -2);
    CREATE INDEX by_customer ON orders (customer);`,
  winning: `
    DELETE FROM orders WHERE id = 3;
    CREATE VIEW v AS SELECT 1;`,
};

test("the report for people tells everything on lines of its own, and nothing that a terminal would obey", () => {
  const { lost, winning } = copiesOf(COPIES);
  const report = compareDatabases(lost, winning, { rowsListed: 2 });
  expect(reportText(report)).toBe(`Two copies of a database, compared row by row
  lost:    ${JSON.stringify(lost)}
  winning: ${JSON.stringify(winning)}

Definitions: 2 differ
  index by_customer, only in the lost copy: "CREATE INDEX by_customer ON orders (customer)"
  view v, only in the winning copy: "CREATE VIEW v AS SELECT 1"

Table "odd name": 2 only in the lost copy, 0 only in the winning copy
  (2 rows in the lost copy, 0 in the winning one; found by whole row)
  only in the lost copy:
    rowid=1, oid=x'beef', _rowid_=-2 (2 times)

Table orders: 4 only in the lost copy, 0 only in the winning copy, 1 changed
  (6 rows in the lost copy, 2 in the winning one; found by primary key)
  only in the lost copy:
    id=3: customer="Eva", total=NULL
    id=7: customer="\\u001b[31m\\"red\\"\\n", total=1e+300
    and 2 more
  changed, lost -> winning:
    id=1: customer "Ana Reis" -> "Ana", total NULL -> 10.0

Rows not compared: search: it is a virtual table; its own tables are equal
Equal: same
`);
});

test("equal copies make a short report", () => {
  const { lost, winning } = copiesOf({ both: "CREATE TABLE t (a);" });
  expect(reportText(compareDatabases(lost, winning))).toMatch(/\n\nThey are equal\.\n\nEqual: t\n$/);
});

test("both files are written, an older report is replaced, and the one for programs holds all of it", () => {
  const { lost, winning } = copiesOf(COPIES);
  const directory = join(temporaryDirectory(), "diverged", "epoch-1");
  writeReport(directory, compareDatabases(winning, winning));
  const report = compareDatabases(lost, winning);
  writeReport(directory, report);
  expect(readdirSync(directory).sort()).toEqual(["report.json", "report.txt"]);
  expect(readFileSync(join(directory, "report.txt"), "utf8")).toBe(reportText(report));
  expect(JSON.parse(readFileSync(join(directory, "report.json"), "utf8"))).toEqual(report);
});
