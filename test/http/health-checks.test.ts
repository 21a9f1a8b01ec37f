import { describe, expect, test } from "vitest";
import { HEALTH_CHECKS } from "../../src/http/health-checks.ts";
import { parseHealthQuery } from "../../src/http/health-query.ts";
import type { HealthFacts } from "../../src/http/health-source.ts";
import { anError, mirrorFacts, operationalFacts } from "./health-facts.ts";

/** Why the check fails; null when it holds. */
function ask(url: string, facts: HealthFacts): string | null {
  const [path = "", search = ""] = url.split("?");
  const check = HEALTH_CHECKS.get(path);
  const query = parseHealthQuery(Object.fromEntries(new URLSearchParams(search)));
  if (check === undefined || typeof query === "string") throw new Error(`cannot ask ${url}`);
  return check(facts, query);
}

const PRIMARY = ["/", "/primary", "/read-write", "/leader"];

describe("who takes writes", () => {
  test.each(PRIMARY)("%s holds on the operational member alone", (path) => {
    expect(ask(path, operationalFacts())).toBeNull();
    expect(ask(path, mirrorFacts())).toBe("porto is a mirror");
  });

  test.each(PRIMARY)("%s fails while the databases are fenced, or about to be", (path) => {
    expect(ask(path, operationalFacts({ serves: "fenced" }))).toBe("porto is fenced");
    expect(ask(path, operationalFacts({ writable: { shop: false } }))).toBe("shop is not open for writes");
  });

  test("one fenced database of many fails the member, and no other database", () => {
    const facts = operationalFacts({
      databases: { north: {}, south: {}, west: {} },
      writable: { north: true, south: false, west: false },
    });
    expect(ask("/primary", facts)).toBe("south and 1 more are not open for writes");
    expect(ask("/primary?database=north", facts)).toBeNull();
    expect(ask("/primary?database=south", facts)).toBe("south is not open for writes");
  });

  test("a fault of replication keeps nobody from writing", () => {
    const databases = { shop: { error: anError("SPOOL_FULL") } };
    expect(ask("/primary", operationalFacts({ databases }))).toBeNull();
    expect(ask("/readiness", operationalFacts({ databases }))).toBeNull();
    expect(ask("/health", operationalFacts({ databases }))).toBe("shop (SPOOL_FULL) is in error");
  });

  test("an operational member that has no databases yet can be written to", () => {
    expect(ask("/primary", operationalFacts({ databases: {}, writable: {} }))).toBeNull();
  });
});

describe("who can be read", () => {
  test.each(["/replica", "/async", "/asynchronous"])(
    "%s holds on mirrors alone, also while nothing is heard",
    (path) => {
      expect(ask(path, mirrorFacts({ status: { upstreamAgeSeconds: 9000 } }))).toBeNull();
      expect(ask(path, operationalFacts())).toBe("porto is operational");
      expect(ask(path, mirrorFacts({ serves: "fenced" }))).toBe("porto is fenced");
    },
  );

  test("a mirror without a copy, or with one that is wrong, is not read", () => {
    expect(ask("/replica", mirrorFacts({ databases: { shop: { integrated: null } } }))).toBe("shop is not here yet");
    expect(ask("/replica", mirrorFacts({ inconsistent: ["shop"] }))).toBe("shop is inconsistent");
  });

  test("a limit in seconds is about what is proved, so that silence makes a mirror old", () => {
    const facts = (staleSeconds: number | null) => mirrorFacts({ databases: { shop: { staleSeconds } } });
    expect(ask("/replica?lag=10s", facts(10))).toBeNull();
    expect(ask("/replica?lag=10s", facts(10.1))).toBe("shop is not proved to be within the limit");
    expect(ask("/replica?lag=1h", facts(null))).toBe("shop is not proved to be within the limit");
    expect(ask("/readiness", facts(30))).toBeNull();
    expect(ask("/readiness", facts(31))).toBe("shop is not proved to be within the limit");
    expect(ask("/readiness?lag=1m", facts(31))).toBeNull();
  });

  test("a limit in transactions counts for nothing when nobody says how many there are", () => {
    const databases = { shop: { lagTransactions: 5, staleSeconds: 100 } };
    expect(ask("/replica?lag=5", mirrorFacts({ databases }))).toBeNull();
    expect(ask("/replica?lag=4", mirrorFacts({ databases }))).toBe("shop is not proved to be within the limit");
    const silent = mirrorFacts({ databases, status: { upstreamAgeSeconds: 16 } });
    expect(ask("/replica?lag=5", silent)).toBe("shop is not proved to be within the limit");
  });

  test("/read-only holds on mirrors and on the operational member, also while it refuses writes", () => {
    expect(ask("/read-only", mirrorFacts())).toBeNull();
    expect(ask("/read-only", operationalFacts({ writable: { shop: false } }))).toBeNull();
    expect(ask("/read-only", mirrorFacts({ serves: "fenced" }))).toBe("porto is fenced");
    expect(ask("/read-only?lag=10s", mirrorFacts({ databases: { shop: { staleSeconds: 11 } } }))).not.toBeNull();
  });
});

describe("the daemon", () => {
  test("/health names what is wrong with the member, and with its databases", () => {
    expect(ask("/health", mirrorFacts())).toBeNull();
    expect(ask("/health", mirrorFacts({ status: { errors: [anError("DEPOSED")] } }))).toBe("DEPOSED");
    const databases = { north: {}, south: { error: anError("DISK_LOW") } };
    expect(ask("/health", mirrorFacts({ databases }))).toBe("south (DISK_LOW) is in error");
    expect(ask("/health?database=north", mirrorFacts({ databases }))).toBeNull();
  });

  test.each(["CAPTURE_STALLED", "INTEGRATION_STALLED"])(
    "/liveness fails with %s, and not with other errors",
    (code) => {
      expect(ask("/liveness", mirrorFacts({ databases: { shop: { error: anError(code) } } }))).toBe(code);
      expect(
        ask("/liveness", mirrorFacts({ databases: { shop: { error: anError("MIRROR_INCONSISTENT") } } })),
      ).toBeNull();
    },
  );

  test("/liveness fails when shipping stands still, and not when a follower is away", () => {
    const follower = (code: string) => ({
      followers: { faro: { reachable: false, heartbeat: null, error: anError(code), databases: {} } },
    });
    expect(ask("/liveness", mirrorFacts({ status: follower("SHIPPING_STALLED") }))).toBe("SHIPPING_STALLED");
    expect(ask("/liveness", mirrorFacts({ status: follower("CONNECTION_REFUSED") }))).toBeNull();
  });
});

test.each(["10MB", "", "-1", "10", "1.5s", "1e3"])("lag=%s is a limit only in our units", (lag) => {
  const limit = parseHealthQuery({ lag });
  if (lag === "10") expect(limit).toEqual({ database: null, lag: { kind: "transactions", count: 10 } });
  else if (lag === "1.5s") expect(limit).toEqual({ database: null, lag: { kind: "age", seconds: 1.5 } });
  else expect(limit).toMatch(/^lag is a duration/);
});

test("a parameter that is given twice is refused", () => {
  expect(parseHealthQuery({ lag: ["1s", "2s"] })).toMatch(/^lag is/);
  expect(parseHealthQuery({ database: ["a", "b"] })).toBe("database is given twice");
});
