/**
 * A member's metrics in the text format of Prometheus (exposition formats, version 0.0.4), with a registry of its own.
 *
 * Rendering thousands of series takes tens of milliseconds of this process's time, so other work gets its turn between two metrics.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from "prom-client";
import { DATABASE_METRICS } from "./database-definitions.ts";
import { MEMBER_METRICS } from "./member-definitions.ts";
import type { MetricDefinition, MetricFacts } from "./metric-definition.ts";

export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

export interface MetricsOptions {
  /** Without: only what is of the member as a whole. */
  readonly databases: "each" | "none";
}

export class MemberMetrics {
  readonly #member: string;
  #registry: Registry | null = null;

  /** @param member its name, a label of every metric. */
  constructor(member: string) {
    this.#member = member;
  }

  async render(facts: MetricFacts, { databases }: MetricsOptions): Promise<string> {
    const registry = this.#open();
    const own = databases === "none" ? MEMBER_METRICS : [...MEMBER_METRICS, ...DATABASE_METRICS];
    const parts: string[] = [];
    for (const definition of own) {
      parts.push(await rendered(registry, definition, facts));
      await nextTurn();
    }
    for (const { name } of registry.getMetricsAsArray())
      if (!name.startsWith("afterimage_")) parts.push(await registry.getSingleMetricAsString(name));
    return `${parts.join("\n\n")}\n`;
  }

  /** Made at the first use: it watches the event loop, and most members are opened by commands that are done in a moment. */
  #open(): Registry {
    if (this.#registry !== null) return this.#registry;
    const registry = new Registry();
    registry.setDefaultLabels({ member: this.#member });
    for (const definition of [...MEMBER_METRICS, ...DATABASE_METRICS]) register(registry, definition);
    collectDefaultMetrics({ register: registry });
    this.#registry = registry;
    return registry;
  }
}

function register(registry: Registry, { name, help, type, labels }: MetricDefinition): Metric {
  const configuration = { name, help, labelNames: [...labels], registers: [registry] };
  return type === "gauge" ? new Gauge(configuration) : new Counter(configuration);
}

async function rendered(registry: Registry, definition: MetricDefinition, facts: MetricFacts): Promise<string> {
  const { name, labels } = definition;
  const metric = registry.getSingleMetric(name);
  if (!(metric instanceof Gauge || metric instanceof Counter)) throw new TypeError(`${name} is not registered`);
  // Counts are kept elsewhere, and what is gone must not stay.
  metric.reset();
  // A metric without labels begins with a sample of its own, which would say 0 where nothing is known.
  if (labels.length === 0) metric.remove();
  for (const [values, value] of definition.samples(facts))
    metric.inc(Object.fromEntries(labels.map((label, i) => [label, values[i] ?? ""])), value);
  return await registry.getSingleMetricAsString(name);
}
