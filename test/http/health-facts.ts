/** A member as the HTTP server sees it, of which a test says only what matters to it. */
import type { HealthFacts } from "../../src/http/health-source.ts";
import { type DatabaseStatus, memberStatusSchema } from "../../src/status/member-status.ts";

const POSITION = { epoch: 1, txid: "000000000000002a", checksum: "8000000000000000", time: "2026-03-01T12:00:00.000Z" };
const DATABASE = {
  operational: POSITION,
  received: POSITION,
  integrated: POSITION,
  lagTransactions: 0,
  lagSeconds: 0,
  staleSeconds: 1,
  paused: false,
  fenced: true,
  pageSize: 4096,
  pageCount: 10,
  walBytes: 8272,
  wants: null,
  error: null,
};

export function anError(code: string) {
  return { code, message: "at /srv/secret", hint: null, since: "2026-03-01T12:00:00.000Z" };
}

export interface Overrides {
  readonly serves?: HealthFacts["serves"];
  readonly writable?: Readonly<Record<string, boolean>>;
  readonly inconsistent?: readonly string[];
  readonly databases?: Readonly<Record<string, Partial<DatabaseStatus>>>;
  /** Of the status. */
  readonly status?: Readonly<Record<string, unknown>>;
}

/** porto, a mirror of `shop` that heard of lisbon a second ago. */
export function mirrorFacts({
  serves = "mirror",
  writable = {},
  inconsistent = [],
  ...rest
}: Overrides = {}): HealthFacts {
  const { databases = { shop: {} }, status = {} } = rest;
  const views = Object.entries(databases).map(([name, database]) => [name, { ...DATABASE, ...database }]);
  return {
    serves,
    writable: new Map(Object.entries(writable)),
    inconsistent: new Set(inconsistent),
    status: memberStatusSchema.parse({
      version: 1,
      mirror: "clinic",
      member: "porto",
      role: "mirror",
      type: "failover",
      state: "connected",
      follows: "lisbon",
      epoch: 3,
      heartbeat: "2026-03-01T12:00:01.000Z",
      reachable: true,
      followers: {},
      upstreamAgeSeconds: 1,
      history: [
        { epoch: 1, member: "porto", reason: "initial", startedAt: "2026-01-01T00:00:00.000Z", starts: {} },
        {
          epoch: 3,
          member: "lisbon",
          reason: "promotion",
          startedAt: "2026-02-01T00:00:00.000Z",
          starts: { shop: "1:0000000000000010:8000000000000000" },
        },
      ],
      ...status,
      databases: Object.fromEntries(views),
    }),
  };
}

/** The same member as the operational one. */
export function operationalFacts(overrides: Overrides = {}): HealthFacts {
  return mirrorFacts({
    serves: "operational",
    writable: { shop: true },
    ...overrides,
    status: { role: "operational", state: "operational", follows: null, upstreamAgeSeconds: 0, ...overrides.status },
  });
}
