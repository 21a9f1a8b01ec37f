import type { MetricFacts } from "../../src/metrics/metric-definition.ts";
import { Tally } from "../../src/metrics/tally.ts";
import { mirrorFacts, type Overrides } from "../http/health-facts.ts";

const NOW = Date.parse("2026-03-01T13:00:00.000Z");

/** What porto knows, a mirror of `shop`, at 13:00. */
export function metricFacts(overrides: Overrides & Partial<Omit<MetricFacts, "status">> = {}): MetricFacts {
  const { version = "1.2.3", isWritable = false, delaySeconds = 0, nowMs = NOW, ...rest } = overrides;
  const { peers = new Map([["lisbon", true]]), backups = new Map(), tally = new Tally() } = rest;
  return { status: mirrorFacts(overrides).status, version, isWritable, delaySeconds, nowMs, peers, backups, tally };
}
