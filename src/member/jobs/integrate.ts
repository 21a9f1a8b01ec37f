/** The integration job of one mirror database: whenever something arrives in the inbox. */
import { parseTxid } from "../../ltx/position.ts";
import { InboxWatcher } from "../inbox-watcher.ts";
import type { Member } from "../member.ts";
import type { MirrorDuty } from "../mirror-duty.ts";
import { Signal } from "../signal.ts";

/** While a backup has the database: integration goes on soon after it has read it. */
const HELD_INTERVAL_MS = 100;

/** Runs until `stop` is aborted. */
export async function runIntegrateJob(member: Member, duty: MirrorDuty, stop: AbortSignal): Promise<void> {
  const arrived = new Signal();
  const { directory } = duty.inbox;
  const watcher = new InboxWatcher(member.context, { database: duty.name, directory, arrived });
  try {
    while (!stop.aborted) {
      const end = member.upstream?.status?.databases[duty.name]?.received?.txid ?? null;
      const before = duty.inbox.taken;
      await duty.poll(end === null ? null : parseTxid(end));
      await watcher.looked(duty.inbox.taken - before);
      await arrived.wait(duty.heldBy === null ? watcher.intervalMs : HELD_INTERVAL_MS, stop);
    }
  } finally {
    await watcher.close();
  }
}
