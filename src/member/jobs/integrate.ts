/** The integration job of one mirror database: whenever something arrives in the inbox. */
import { parseTxid } from "../../ltx/position.ts";
import type { UpstreamEnd } from "../backlog.ts";
import { InboxWatcher } from "../inbox-watcher.ts";
import { isUnheld } from "../integration-gate.ts";
import type { Member } from "../member.ts";
import type { MirrorDuty } from "../mirror-duty.ts";
import { isCutOff } from "../rebuild.ts";

/** While a backup has the database: integration goes on soon after it has read it. */
const HELD_INTERVAL_MS = 100;

/** Runs until `stop` is aborted. */
export async function runIntegrateJob(member: Member, duty: MirrorDuty, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) await integrateFrom(duty.inbox.directory, member, duty, stop);
}

/** Watches one directory of the inbox, until the journal comes to the next epoch. */
async function integrateFrom(directory: string, member: Member, duty: MirrorDuty, stop: AbortSignal): Promise<void> {
  const watcher = new InboxWatcher(member.context, { database: duty.name, directory, arrived: duty.due });
  try {
    while (!stop.aborted) {
      const before = duty.inbox.taken;
      await duty.poll(upstreamEnd(member, duty.name), stop);
      await watcher.looked(duty.inbox.taken - before);
      if (duty.beginsAnew) await bridge(member, duty);
      if (isStranded(member, duty)) await duty.orderResync((resync) => resync.goOn());
      // What comes next arrives elsewhere, where nobody watches yet.
      if (duty.inbox.directory !== directory) break;
      await duty.due.wait(duty.heldBy === null ? watcher.intervalMs : HELD_INTERVAL_MS, stop);
    }
  } finally {
    await watcher.close();
  }
}

/** Whether the upstream no longer has what comes next, and nothing holds integration back on purpose. */
function isStranded({ context, upstream, integration }: Member, { name, resync }: MirrorDuty): boolean {
  if (resync !== null || upstream?.alive !== true || !isCutOff(context, name, upstream)) return false;
  return isUnheld(integration.facts(name));
}

async function bridge(member: Member, duty: MirrorDuty): Promise<void> {
  duty.beginsAnew = false;
  await member.snapshotOrEvent(duty.name);
  duty.due.set();
}

function upstreamEnd({ upstream }: Member, database: string): UpstreamEnd | null {
  const end = upstream?.status?.databases[database]?.received ?? null;
  const txid = parseTxid(end?.txid ?? "");
  if (end === null || txid === null) return null;
  return { txid, timeMs: end.time === null ? null : Date.parse(end.time), isCertain: upstream?.alive ?? false };
}
