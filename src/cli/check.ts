/** `afterimage check`: whether the mirror set is healthy now, as this member sees it. It changes nothing. */
import type { Command } from "commander";
import { newestBackups } from "../backup/backup-directory.ts";
import { alertConfiguration } from "../config/alert-configuration.ts";
import { backupConfiguration, type Configuration, type MemberConfiguration } from "../config/configuration.ts";
import { AfterimageError } from "../errors.ts";
import { type CheckResult, failed, worstLevel } from "../member/check-result.ts";
import { longestGapMs } from "../member/cron-times.ts";
import { checkSet } from "../runbook/check-set.ts";
import type { AgeLimits, SetFacts } from "../runbook/set-facts.ts";
import type { MirrorSetStatus } from "../status/member-status.ts";
import { namedCheckLines } from "./check-lines.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { nagiosCode, nagiosLine } from "./nagios.ts";
import { openConfiguration, type Selection } from "./open-configuration.ts";
import { parseTimeout } from "./parse-timeout.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

/** A scheduled job may be late by half of its interval and an hour: it may take long. */
const LATE_FACTOR = 1.5;
const LATE_S = 3600;

interface CheckOptions {
  readonly nagios?: boolean;
  /** Milliseconds. */
  readonly warnLag?: number;
  readonly failLag?: number;
}

const WARN_LAG_MS = 60_000;

async function check(args: CheckOptions & GlobalOptions, io: CommandIo): Promise<number> {
  const results = await examine(args, io);
  if (args.nagios === true) {
    io.out(nagiosLine(results));
    return nagiosCode(results);
  }
  const level = worstLevel(results);
  print(args, io, { ok: level !== "FAIL", level, checks: results }, () =>
    results.flatMap((result) => namedCheckLines(result, args)),
  );
  return level === "FAIL" ? EXIT.failed : EXIT.done;
}

/** A daemon that does not answer is a finding too; a configuration that cannot be read is one only for a monitoring system. */
async function examine(args: CheckOptions & GlobalOptions, io: CommandIo): Promise<CheckResult[]> {
  try {
    const selection = openConfiguration(args, io);
    try {
      const status = await withControl(args, io, (control) => control.status());
      return checkSet(await factsOf(status, selection, args));
    } catch (error) {
      if (!(error instanceof AfterimageError)) throw error;
      return [failed(`daemon of ${selection.member.name}`, error)];
    }
  } catch (error) {
    if (args.nagios !== true || !(error instanceof AfterimageError)) throw error;
    return [failed("configuration", error)];
  }
}

/** What is an alert is a failure here, as far as no flag says something else. */
function limitsOf(configuration: Configuration, member: MemberConfiguration, { warnLag, failLag }: CheckOptions) {
  const { receivedLagMs, integratedLagMs } = alertConfiguration(configuration, member);
  const limits = (alertMs: number | null, lateMs: number): AgeLimits | null => {
    if (alertMs === null) return null;
    const failMs = failLag ?? alertMs;
    const warnMs = Math.min(warnLag ?? WARN_LAG_MS, failMs);
    return { warn: (warnMs + lateMs) / 1000, fail: (failMs + lateMs) / 1000 };
  };
  return { received: limits(receivedLagMs, 0), integrated: limits(integratedLagMs, member.delayMs) };
}

async function factsOf(
  status: MirrorSetStatus,
  { configuration, member }: Selection,
  args: CheckOptions,
): Promise<SetFacts> {
  const { journal, timeZone, members } = configuration;
  const limits = [...members.values()].map((each) => ({ name: each.name, ...limitsOf(configuration, each, args) }));
  const backup = backupConfiguration(member);
  const patience = async (expression: string | null) =>
    expression === null ? null : (LATE_FACTOR * (await longestGapMs(expression, timeZone))) / 1000 + LATE_S;
  const isBackedUp = status.members.some(
    ({ member: name, role }) => name === member.name && (role === "mirror" || backup.allowOperational),
  );
  return {
    status,
    limits: {
      receivedSeconds: new Map(limits.map(({ name, received }) => [name, received])),
      integratedSeconds: new Map(limits.map(({ name, integrated }) => [name, integrated])),
      verifiedSeconds: await patience(journal.verify),
      backupSeconds: isBackedUp ? await patience(backup.schedule) : null,
    },
    backups: newestBackups(backup.directory, member.name),
    nowMs: Date.now(),
  };
}

export const registerCheck: Register = (program, execute) => {
  program
    .command("check")
    .description("say whether the mirror set is healthy now: members, lags, receipts, copies, backups, space")
    .option("--warn-lag <duration>", "what is older is a warning, beyond a mirror's own delay (60s)", parseTimeout)
    .option(
      "--fail-lag <duration>",
      "what is older is a failure (as `receivedLag` and `integratedLag` of `alerts`)",
      parseTimeout,
    )
    .option("--nagios", "one line, and the exit codes of a monitoring plugin: 0 good, 1 warning, 2 critical")
    .action((options: CheckOptions, command: Command) =>
      execute(command, (globals, io) => check({ ...globals, ...options }, io)),
    );
};
