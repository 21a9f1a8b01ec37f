/** The keys of alerts: of the set, and of a member. */
import { expect, test } from "vitest";
import { alertConfiguration } from "../../src/config/alert-configuration.ts";
import { ConfigError } from "../../src/config/config-error.ts";
import { selectMember } from "../../src/config/configuration.ts";
import { changedKeys } from "../../src/config/configuration-changes.ts";
import { parseConfiguration } from "../../src/config/load-configuration.ts";
import { thrownBy } from "../support/thrown.ts";

function text(set: string, own: string): string {
  return `mirror: clinic
operational: lisbon
alerts: ${set}
members:
  lisbon:
    mailbox: file:///m/lisbon
    state: /s/lisbon
    databases: { patients: /d/lisbon.db }
    alerts: ${own}
`;
}

const parse = (set: string, own = "{}") => parseConfiguration(text(set, own), "/a.yaml", { home: "/home/op" });

function load(set: string, own = "{}") {
  const configuration = parse(set, own);
  return alertConfiguration(configuration, selectMember(configuration, "lisbon"));
}

function faultsOf(set: string, own = "{}"): string[] {
  const error = thrownBy(() => parse(set, own));
  return error instanceof ConfigError ? error.faults.map(({ code, path }) => `${code} ${path}`) : [];
}

test("thresholds are read, turned off, and have defaults", () => {
  expect(load("{ receivedLag: 90s, freeSpace: 2GiB, quarantine: 5, errors: off }")).toMatchObject({
    ...{ receivedLagMs: 90_000, freeSpaceBytes: 2 ** 31, quarantineFiles: 5, errorsMs: null },
    ...{
      integratedLagMs: 600_000,
      spoolShare: 0.9,
      backupAgeMs: 36 * 3_600_000,
      webhook: null,
      mail: null,
      ping: null,
    },
  });
});

test("channels are read, with where their secrets are", () => {
  const webhook = "webhook: { url: https://hook.example/x, secretFile: ~/secret, timeLimit: 3s }";
  const mail = "mail: { host: mx.example, user: ana, passwordVariable: PASS, from: a@b.example, to: [c@d.example] }";
  expect(load(`{ ${webhook}, ${mail}, ping: { url: http://ping.example, interval: 30s } }`)).toMatchObject({
    webhook: {
      ...{ url: "https://hook.example/x", timeLimitMs: 3_000 },
      secret: { file: "/home/op/secret", variable: null },
    },
    mail: {
      ...{ host: "mx.example", port: 587, tls: "starttls", user: "ana", from: "a@b.example", to: ["c@d.example"] },
      password: { file: null, variable: "PASS" },
    },
    ping: { url: "http://ping.example", intervalMs: 30_000, timeLimitMs: 10_000 },
  });
});

test.each([
  ["{ receivedLag: 1ms }", "{}", "DURATION_INVALID alerts.receivedLag"],
  ["{}", "{ receivedLag: soon }", "DURATION_INVALID members.lisbon.alerts.receivedLag"],
  ["{ spool: 120% }", "{}", "VALUE_INVALID alerts.spool"],
  ["{ freeSpace: lots }", "{}", "SIZE_INVALID alerts.freeSpace"],
  ["{ recievedLag: 5m }", "{}", "KEY_UNKNOWN alerts.recievedLag"],
  ["{ webhook: { url: https://h.example, secrets: x } }", "{}", "KEY_UNKNOWN alerts.webhook.secrets"],
  ["{}", "{ webhook: { url: ftp://h.example } }", "VALUE_INVALID members.lisbon.alerts.webhook.url"],
  ["{ mail: { host: h, from: a@b.example } }", "{}", "KEY_MISSING alerts.mail.to"],
  ["{ mail: { host: h, from: a, to: [b], tls: none, user: c } }", "{}", "VALUE_INVALID alerts.mail.user"],
  ["{ ping: { url: https://p.example, interval: 2d } }", "{}", "DURATION_INVALID alerts.ping.interval"],
])("alerts %s, and of the member %s: %s", (set, own, fault) => {
  expect(faultsOf(set, own)).toEqual([fault]);
});

test("a reload names keys as they stand in the file", () => {
  const before = parse("{ receivedLag: 5m }", "{ ping: { url: https://p.example } }");
  const after = parse("{ receivedLag: 6m }", "{ ping: { url: https://p.example, interval: 5m } }");
  expect(changedKeys(before, after)).toEqual(["alerts.receivedLag", "members.lisbon.alerts.ping.interval"]);
});
