/** Names of metrics are a promise: the page, the alert rules and the dashboard name what there is. */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { DATABASE_METRICS } from "../../src/metrics/database-definitions.ts";
import { MEMBER_METRICS } from "../../src/metrics/member-definitions.ts";
import { MemberMetrics } from "../../src/metrics/member-metrics.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { metricFacts } from "./metric-facts.ts";
import { metricNames } from "./parse-metrics.ts";

const pathOf = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const DEFINITIONS = [...MEMBER_METRICS, ...DATABASE_METRICS];
const ALERTS = pathOf("config/alerts.yml");
const HAS_PROMTOOL = spawnSync("promtool", ["--version"]).status === 0;

const rulesSchema = z.object({
  groups: z.array(z.object({ rules: z.array(z.object({ alert: z.string(), expr: z.string() })) })),
});
const dashboardSchema = z.object({
  templating: z.object({ list: z.array(z.object({ definition: z.string().optional() })) }),
  panels: z.array(
    z.object({
      title: z.string(),
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
      targets: z.array(z.object({ expr: z.string() })),
    }),
  ),
});

const rules = rulesSchema.parse(parse(readFileSync(ALERTS, "utf8"))).groups.flatMap((group) => group.rules);
const dashboard = dashboardSchema.parse(JSON.parse(readFileSync(pathOf("config/grafana-dashboard.json"), "utf8")));
/** With what Grafana puts in place of its variables. */
const queries = dashboard.panels.flatMap(({ targets }) =>
  targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "1m").replaceAll(/"\$\w+"/g, '".*"')),
);

let exposed: string[] = [];
beforeAll(async () => {
  exposed = metricNames(await new MemberMetrics("porto").render(metricFacts(), { databases: "each" }));
});

function namedIn(text: string): string[] {
  return [...new Set(text.match(/\b(?:afterimage|process|nodejs)_[a-z0-9_]+\b/g) ?? [])];
}

/** Standard output; fails with what promtool says against it. */
function promtool(args: readonly string[], options: { readonly cwd?: string; readonly input?: string } = {}): string {
  if (HAS_PROMTOOL) return execFileSync("promtool", args, { encoding: "utf8", stdio: "pipe", ...options });
  process.stderr.write(`not tried, because there is no promtool here: promtool ${args.join(" ")}\n`);
  return "SUCCESS";
}

test("docs/METRICS.md describes every metric as it is, and no other", () => {
  const page = readFileSync(pathOf("docs/METRICS.md"), "utf8");
  const rows = DEFINITIONS.map(({ name, type, labels, help }) => {
    return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`;
  });
  expect(page.split("\n").filter((line) => line.startsWith("| `"))).toEqual(rows);
  expect(namedIn(page).filter((name) => !exposed.includes(name))).toEqual([]);
});

test("every metric is exposed, by names that say their unit", () => {
  expect(exposed.filter((name) => name.startsWith("afterimage_"))).toEqual(DEFINITIONS.map(({ name }) => name));
  for (const { name, type } of DEFINITIONS) expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
});

test("alert rules name metrics that there are, each alert once", () => {
  const names = rules.map(({ alert }) => alert);
  expect(names.length).toBeGreaterThan(15);
  expect(new Set(names).size).toBe(names.length);
  for (const { alert, expr } of rules)
    expect([alert, namedIn(expr).filter((name) => !exposed.includes(name))]).toEqual([alert, []]);
  // The text of an alert may point to another metric.
  expect(namedIn(readFileSync(ALERTS, "utf8")).filter((name) => !exposed.includes(name))).toEqual([]);
});

test("the dashboard names metrics that there are, in panels that do not overlap", () => {
  const variables = dashboard.templating.list.map(({ definition = "" }) => definition);
  expect(queries.length).toBeGreaterThan(15);
  expect(namedIn([...queries, ...variables].join("\n")).filter((name) => !exposed.includes(name))).toEqual([]);
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
});

describe("promtool", () => {
  test("takes the metrics as they are exposed", async () => {
    const text = await new MemberMetrics("porto").render(metricFacts(), { databases: "each" });
    const own = text.split("\n\n").filter((block) => block.startsWith("# HELP afterimage_"));
    promtool(["check", "metrics"], { input: `${own.join("\n")}\n` });
  });

  test("takes the alert rules", () => {
    expect(promtool(["check", "rules", ALERTS])).toMatch(/SUCCESS/);
  });

  test("finds that alerts fire when they should, and only then", () => {
    const cwd = temporaryDirectory();
    cpSync(ALERTS, join(cwd, "alerts.yml"));
    cpSync(pathOf("test/metrics/alerts-cases.yml"), join(cwd, "cases.yml"));
    expect(promtool(["test", "rules", "cases.yml"], { cwd })).toMatch(/SUCCESS/);
  });

  test("takes the dashboard's queries", () => {
    const path = join(temporaryDirectory(), "queries.yml");
    const recorded = queries.map((expr, i) => ({ record: `query${i}`, expr }));
    writeFileSync(path, stringify({ groups: [{ name: "dashboard", rules: recorded }] }));
    expect(promtool(["check", "rules", path])).toMatch(/SUCCESS/);
  });
});
