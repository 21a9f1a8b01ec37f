import fc from "fast-check";
import { expect, test } from "vitest";
import {
  configuredPath,
  coversNames,
  type DatabasePattern,
  databaseAt,
  pathOf,
  pathsMeet,
  patternDirectory,
  patternFault,
  textsMeet,
} from "../../src/config/database-pattern.ts";

const FILES: DatabasePattern = { name: "tenant-*", path: "/srv/tenants/*.db" };
const DIRECTORIES: DatabasePattern = { name: "*-app", path: "/srv/t-*/data/app.db" };

test.each([
  [FILES, "north.db", { name: "tenant-north", path: "/srv/tenants/north.db" }],
  [FILES, "a.b.db", { name: "tenant-a.b", path: "/srv/tenants/a.b.db" }],
  [FILES, "$&.db", { name: "tenant-$&", path: "/srv/tenants/$&.db" }],
  [DIRECTORIES, "t-7", { name: "7-app", path: "/srv/t-7/data/app.db" }],
  [{ name: "*", path: "/*" }, "a", { name: "a", path: "/a" }],
])("%o finds a database at %s", (pattern, entry, expected) => {
  expect(databaseAt(pattern, entry)).toEqual(expected);
  expect(pathOf(pattern, expected.name)).toBe(expected.path);
});

test.each([
  [FILES, ".db"],
  [FILES, ".hidden.db"],
  [FILES, "north.sqlite"],
  [FILES, "north.db-wal"],
  [{ name: "*", path: "/srv/*" }, "north.db-wal"],
  [{ name: "*", path: "/srv/*" }, "north.db-shm"],
  [{ name: "*", path: "/srv/*" }, "north.db-journal"],
  [DIRECTORIES, "t-"],
  [DIRECTORIES, "7"],
])("%o finds nothing at %s", (pattern, entry) => {
  expect(databaseAt(pattern, entry)).toBeNull();
});

test("a name that would lead to a hidden or a side file has no path", () => {
  expect(pathOf({ name: "tenant-*", path: "/copies/*" }, "tenant-a-wal")).toBeNull();
  expect(pathOf({ name: "tenant*", path: "/copies/*.db" }, "tenant.a")).toBeNull();
  expect(pathOf(FILES, "tenant-")).toBeNull();
  expect(pathOf(FILES, "patients")).toBeNull();
});

test("the directory of a pattern is the one whose entries the * stands for", () => {
  expect([FILES, DIRECTORIES, { name: "*", path: "/*" }].map(patternDirectory)).toEqual(["/srv/tenants", "/srv", "/"]);
});

const text = fc.stringMatching(/^[a-z.-]{0,4}$/);
const middle = fc.stringMatching(/^[a-z0-9_][a-z0-9._-]{0,8}$/);

test("whatever the * stands for, name and path lead to each other", () => {
  fc.assert(
    fc.property(text, text, middle, text, text, fc.boolean(), (keyBefore, keyAfter, name, before, after, below) => {
      const pattern = { name: `${keyBefore}*${keyAfter}`, path: `/srv/x${before}*${after}${below ? "/app.db" : ""}` };
      const found = databaseAt(pattern, `x${before}${name}${after}`);
      if (found === null) return /-(wal|shm|journal)$/.test(`${name}${after}`);
      expect(found.name).toBe(`${keyBefore}${name}${keyAfter}`);
      expect(pathOf(pattern, found.name)).toBe(found.path);
      return true;
    }),
  );
});

test("two patterns meet when some text fits both", () => {
  fc.assert(
    fc.property(text, text, text, text, middle, (a, b, c, d, name) => {
      if (textsMeet(`${a}*${b}`, `${a}${name}${b}`) === false) throw new Error("a text does not fit its own pattern");
      const fits = `${c}${name}${d}`.startsWith(a) && `${c}${name}${d}`.endsWith(b);
      const isLonger = `${c}${name}${d}`.length > a.length + b.length;
      return !(fits && isLonger) || textsMeet(`${a}*${b}`, `${c}*${d}`);
    }),
  );
  expect(textsMeet("a-*", "b-*")).toBe(false);
  expect(pathsMeet("/srv/*.db", "/srv/a/x.db")).toBe(false);
  expect(pathsMeet("/srv/*/x.db", "/srv/a/x.db")).toBe(true);
});

test("a pattern covers another one when it has all of its names", () => {
  expect(coversNames("tenant-*", "tenant-eu-*")).toBe(true);
  expect(coversNames("tenant-eu-*", "tenant-*")).toBe(false);
  expect(coversNames("*", "tenant-*-x")).toBe(true);
});

test("a named database comes before patterns, and the first pattern before the others", () => {
  const set = {
    databases: new Map([["tenant-a", "/fast/a.db"]]),
    databasePatterns: [FILES, { name: "*", path: "/srv/other/*.db" }],
  };
  expect(configuredPath(set, "tenant-a")).toBe("/fast/a.db");
  expect(configuredPath(set, "tenant-b")).toBe("/srv/tenants/b.db");
  expect(configuredPath(set, "b")).toBe("/srv/other/b.db");
});

test("a pattern has one * on each side", () => {
  expect(patternFault({ name: "patients", path: "/srv/patients.db" })).toBeNull();
  expect(patternFault(FILES)).toBeNull();
  for (const [name, path] of [
    ["a", "/srv/*.db"],
    ["a-*", "/srv/a.db"],
    ["*-*", "/srv/*.db"],
    ["a-*", "/srv/*/*.db"],
  ]) {
    expect(patternFault({ name: name ?? "", path: path ?? "" })).toMatch(/\*/);
  }
});
