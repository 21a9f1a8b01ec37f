/** The job that goes on with a hand-over: takes what this member is offered, and settles what it has offered before a start. */
import { InboxWatcher } from "../inbox-watcher.ts";
import type { Member } from "../member.ts";
import { pause } from "../pause.ts";
import { Signal } from "../signal.ts";

/** What cannot be settled now is tried again so often. */
const SETTLE_INTERVAL_MS = 1_000;
/** While an offer waits for its maker's mailbox. */
const WAITING_INTERVAL_MS = 250;

/** Runs until `stop` is aborted. */
export async function runHandoverJob(member: Member, stop: AbortSignal): Promise<void> {
  await Promise.all([settleOwn(member, stop), takeOffers(member, stop)]);
}

async function settleOwn({ handover, roles }: Member, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    if (roles.duty !== "none") await handover.settle();
    await pause(SETTLE_INTERVAL_MS, stop);
  }
}

async function takeOffers({ context, offers }: Member, stop: AbortSignal): Promise<void> {
  const arrived = new Signal();
  const watcher = new InboxWatcher(context, { database: null, directory: offers.directory, arrived });
  try {
    while (!stop.aborted) {
      const waits = await offers.look().catch((error: unknown) => {
        context.logger.error({ err: error }, "the inbox cannot be looked into for offers; it is tried again");
        return true;
      });
      await arrived.wait(waits ? WAITING_INTERVAL_MS : watcher.intervalMs, stop);
    }
  } finally {
    await watcher.close();
  }
}
