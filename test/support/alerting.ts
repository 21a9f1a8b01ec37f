/** Members that are served in the test's own process, with `alerts` in their configuration: lisbon, and porto that follows it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { onTestFinished } from "vitest";
import { stringify } from "yaml";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { Member } from "../../src/member/member.ts";
import { CLINIC, databasePath } from "./members.ts";
import type { ServedMember } from "./served-members.ts";

export interface AlertingOptions {
  readonly alerts: object;
  readonly journal?: object;
  /** Further keys of every member. */
  readonly keys?: object;
}

/** Alerts that a test does not ask for are turned off. */
export const SILENT = {
  ...{ receivedLag: "off", integratedLag: "off", upstreamSilent: "off", followerAway: "off", receiptAge: "off" },
  ...{ topologyUnsafe: "off", spool: "off", freeSpace: "off", quarantine: "off", backupAge: "off", errors: "off" },
};

export async function openAlerting(root: string, name: string, options: AlertingOptions): Promise<Member> {
  const path = writeAlerting(root, options);
  return await Member.open({ configuration: loadConfiguration(path), member: name, logger: pino({ level: "silent" }) });
}

/** The configuration of the set; members read it when they are opened. */
export function writeAlerting(root: string, { alerts, journal = {}, keys = {} }: AlertingOptions): string {
  const entry = (name: string) => ({
    mailbox: `file://${join(root, name, "mailbox")}`,
    state: join(root, name, "state"),
    databases: { [CLINIC]: databasePath(root, name) },
    ...keys,
  });
  const members = { lisbon: entry("lisbon"), porto: entry("porto") };
  const path = join(root, "afterimage.yaml");
  const sections = { alerts: { ...SILENT, ...alerts }, journal: { rotate: "continuous", ...journal } };
  writeFileSync(path, stringify({ mirror: "clinic", operational: "lisbon", members, ...sections }));
  return path;
}

export async function serveAlerting(root: string, name: string, options: AlertingOptions): Promise<ServedMember> {
  const member = await openAlerting(root, name, options);
  const halt = new AbortController();
  const done = member.run(halt.signal);
  let ended: Promise<void> | null = null;
  const end = async () => {
    halt.abort();
    await done;
    await member.close();
  };
  const stop = () => {
    ended ??= end();
    return ended;
  };
  onTestFinished(stop);
  return { member, stop };
}

/** `RAISED QUARANTINE clinic`, in the order in which they happened, by the events. */
export function alertHistory(member: Member): string[] {
  return member.context.store
    .events({ limit: 10_000 })
    .filter(({ code }) => code === "ALERT_RAISED" || code === "ALERT_CLEARED")
    .map(({ code, data }) => {
      const { alert, subject } = data as { alert: string; subject: string | null };
      return [code.slice("ALERT_".length), alert, ...(subject === null ? [] : [subject])].join(" ");
    });
}
