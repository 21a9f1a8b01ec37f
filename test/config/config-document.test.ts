import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { GENERATED } from "../../scripts/generated-files.ts";

const ROOT = new URL("../../", import.meta.url);
const document = readFileSync(new URL("docs/CONFIG.md", ROOT), "utf8");

test.each(GENERATED)("$path is what `npm run docs` writes", ({ url, content }) => {
  expect(readFileSync(url, "utf8")).toBe(content());
});

test("docs/CONFIG.md describes every fault code", () => {
  const source = readFileSync(new URL("src/config/config-error.ts", ROOT), "utf8");
  const union = /type FaultCode =([^;]*);/.exec(source)?.[1] ?? "";
  const codes = [...union.matchAll(/"([A-Z_]+)"/g)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(20);
  expect(codes.filter((code) => !document.includes(`\`${code}\``))).toEqual([]);
});

test("docs/CONFIG.md says kind, default and limits of keys as the schema has them", () => {
  const row = (key: string) => document.split("\n").find((line) => line.startsWith(`| \`${key}\` |`)) ?? "";
  expect(row("minInterval")).toContain("| duration, from 1ms to 60m | `50ms` |");
  expect(row("rotate")).toContain('| cron expression or `continuous` | `"*/10 * * * * *"` |');
  expect(row("type")).toContain("| `failover`, `dr` or `reporting` | `failover` |");
  expect(row("spool")).toContain("| share or `off` | `90%` |");
  expect(row("tls.certificate")).toContain("| path | required |");
  expect(row("to")).toContain("| list of text | required |");
});

const editorSchema = z.fromJSONSchema(JSON.parse(readFileSync(new URL("config/afterimage.schema.json", ROOT), "utf8")));
const EXAMPLES = readdirSync(new URL("config/", ROOT)).filter((name) => name.endsWith(".yaml"));

function example(name: string): Record<string, unknown> {
  return parse(readFileSync(new URL(`config/${name}`, ROOT), "utf8"));
}

test.each(EXAMPLES)("config/%s passes the JSON Schema for editors", (name) => {
  expect(editorSchema.safeParse(example(name)).error).toBeUndefined();
});

test.each([
  ["an unknown key", { jurnal: {} }],
  ["a duration without a unit", { journal: { retention: "72" } }],
  ["a value that is none of the allowed ones", { onIsolation: "stop" }],
  ["a number out of its limits", { alerts: { mail: { host: "h", from: "a", to: ["b"], port: 65_536 } } }],
  ["a key that is missing", { alerts: { webhook: {} } }],
])("the JSON Schema for editors refuses %s", (_, fault) => {
  const file = example("pair.yaml");
  expect(editorSchema.safeParse(file).success).toBe(true);
  expect(editorSchema.safeParse({ ...file, ...fault }).success).toBe(false);
});

test("the JSON Schema for editors takes a variable in place of a number or a duration", () => {
  const variables = { journal: { retention: "$" + "{RETENTION}" }, alerts: { quarantine: "off" } };
  expect(editorSchema.safeParse({ ...example("pair.yaml"), ...variables }).error).toBeUndefined();
});
