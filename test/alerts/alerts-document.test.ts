import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { expect, test } from "vitest";
import { ALERT_CODES, ALERTS } from "../../src/alerts/alert-catalogue.ts";
import { noticeSchema } from "../../src/alerts/alert-notice.ts";
import { keysOf } from "../../src/config/key-notes.ts";
import { sections } from "../../src/config/schema.ts";

const PAGE = readFileSync(new URL("../../docs/ALERTS.md", import.meta.url), "utf8");

test("docs/ALERTS.md describes every alert as it is, and no other", () => {
  const rows = ALERT_CODES.map((code) => {
    const { level, key, cause, hint } = ALERTS[code];
    return `| \`${code}\` | ${level} | ${key === null ? "" : `\`${key}\``} | ${cause} | ${hint} |`;
  });
  expect(PAGE.split("\n").filter((line) => /^\| `[A-Z_]+` /.test(line))).toEqual(rows);
});

test("the keys of thresholds are keys of the configuration, each of some alert", () => {
  const keys = ALERT_CODES.flatMap((code) => ALERTS[code].key ?? []);
  const section = keysOf(sections(homedir()).alerts).map(([key]) => key);
  const known = section.filter((key) => !["webhook", "mail", "ping"].includes(key));
  expect([...new Set(keys)].sort()).toEqual([...known].sort());
});

test("the notice on the page is one", () => {
  const example = /```json\n([\s\S]*?)```/.exec(PAGE)?.[1] ?? "";
  const notice: unknown = JSON.parse(example);
  expect(noticeSchema.strict().parse(notice)).toEqual(notice);
});
