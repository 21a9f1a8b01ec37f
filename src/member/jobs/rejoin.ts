/**
 * The job that ends a rejoin: once a copy equals the later epoch's, it is compared with what was kept, and the report of the
 * rows that differ is written beside that. Both are files on this machine, and a process of its own compares them.
 */
import { join } from "node:path";
import { ComparisonProcess } from "../../divergence/comparison-process.ts";
import { readKeptState } from "../../divergence/kept-state.ts";
import { REPORT_TEXT_NAME } from "../../divergence/write-report.ts";
import type { PendingRejoin } from "../../journal/rejoin-ledger.ts";
import { formatPosition } from "../../ltx/position.ts";
import { errorView } from "../error-view.ts";
import { removeRestored, restoreKept } from "../kept-copy.ts";
import type { Member } from "../member.ts";
import type { MemberContext } from "../member-context.ts";
import type { MirrorDuty } from "../mirror-duty.ts";
import { pause } from "../pause.ts";

const INTERVAL_MS = 500;
const RETRY_MS = 30_000;

/** Runs until `stop` is aborted. */
export async function runRejoinJob(member: Member, stop: AbortSignal): Promise<void> {
  const { context, rejoinFaults } = member;
  while (!stop.aborted) {
    let waitMs = INTERVAL_MS;
    for (const pending of context.store.rejoins.list()) {
      const duty = member.mirrors.get(pending.database);
      if (duty === undefined || duty.resync !== null || stop.aborted) continue;
      try {
        await finish(member, duty, pending, stop);
        rejoinFaults.delete(pending.database);
      } catch (error) {
        waitMs = RETRY_MS;
        if (!stop.aborted) noteFault(member, pending.database, error);
      }
    }
    await pause(waitMs, stop);
  }
}

function noteFault({ context, rejoinFaults }: Member, database: string, error: unknown): void {
  const fault = errorView(error, context.nowMs());
  const isNew = rejoinFaults.get(database)?.message !== fault.message;
  rejoinFaults.set(database, fault);
  const message = `there is no report of what differs yet: ${fault.message}`;
  if (isNew) context.event("error", "REPORT_FAILED", database, message, { error: fault.code });
}

async function finish(member: Member, duty: MirrorDuty, pending: PendingRejoin, stop: AbortSignal): Promise<void> {
  const { context } = member;
  const { database, directory } = pending;
  context.steps.done("rejoin:copied", `${database} equals that of the later epoch`);
  const lost = await restoreKept(context, database, directory, stop);
  if (lost === "stopped") return;
  if (lost === "unsound") {
    end(context, pending, "warn", "SQLite finds fault with what is kept, so that there is no report of what differs");
    return;
  }
  if (!(await compare(member, duty, { directory, lost: lost.path, stop }))) return;
  const report = join(directory, REPORT_TEXT_NAME);
  context.steps.done("rejoin:reported", `${database}: what differs is in ${report}`);
  end(context, pending, "info", `a report says what is not in the later epoch: ${report}`);
}

function end(
  { store, event, changed }: MemberContext,
  { database, directory }: PendingRejoin,
  level: "info" | "warn",
  message: string,
): void {
  removeRestored(directory);
  store.rejoins.delete(database);
  event(level, "REJOINED", database, `the copy follows again; ${message}`, { directory });
  changed();
}

/** @returns false when there is nothing to compare with yet, or `stop` was aborted. */
async function compare(
  { context }: Member,
  duty: MirrorDuty,
  { directory, lost, stop }: { directory: string; lost: string; stop: AbortSignal },
): Promise<boolean> {
  const kept = readKeptState(directory);
  const winning = context.databases.get(duty.name);
  // Nothing is integrated before both are read as they are, so that it is known what is compared with what.
  const comparison = await duty.exclusively(async () => {
    const position = context.store.database(duty.name)?.integrated ?? null;
    if (winning === undefined || position === null || duty.resync !== null) return null;
    const positions = {
      lost: formatPosition(kept.lost),
      winning: formatPosition(position),
      fork: kept.fork === null ? null : formatPosition(kept.fork),
    };
    const request = { lost, winning, directory, shown: { lost: directory, winning }, positions };
    const process = new ComparisonProcess(request, stop);
    await process.begun();
    return process;
  });
  if (comparison === null) return false;
  try {
    await comparison.done();
    return true;
  } catch (error) {
    if (stop.aborted) return false;
    throw error;
  }
}
