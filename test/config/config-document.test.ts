import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { expect, test } from "vitest";
import { sections } from "../../src/config/schema.ts";

const DOCUMENT = readFileSync(new URL("../../docs/CONFIG.md", import.meta.url), "utf8");
const { top, member, backup, drill, hooks, http, tls, ssh, journal, alerts } = sections(homedir());

const DESCRIBED = [
  ...[top, member, backup, drill, hooks, http, tls, ssh, journal, alerts].flatMap(({ keys }) => keys),
  ...Object.values(alerts.inner).flat(),
];

test.each(DESCRIBED)("docs/CONFIG.md describes the key %s", (key) => {
  expect(DOCUMENT).toMatch(new RegExp(`^\\| \`${key}\` +\\|`, "m"));
});

test("docs/CONFIG.md describes every fault code", () => {
  const source = readFileSync(new URL("../../src/config/config-error.ts", import.meta.url), "utf8");
  const union = /type FaultCode =([^;]*);/.exec(source)?.[1] ?? "";
  const codes = [...union.matchAll(/"([A-Z_]+)"/g)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(20);
  expect(codes.filter((code) => !DOCUMENT.includes(`\`${code}\``))).toEqual([]);
});
