/** The integration job of one mirror database: whenever something arrives in the inbox. */
import { watch } from "chokidar";
import { parseTxid } from "../../ltx/position.ts";
import type { Member } from "../member.ts";
import type { MirrorDuty } from "../mirror-duty.ts";
import { Signal } from "../signal.ts";

/** The inbox is looked into this often even when the watcher says nothing. */
const SCAN_INTERVAL_MS = 2_000;
/** While a backup has the database: integration goes on soon after it has read it. */
const HELD_INTERVAL_MS = 100;

/** Runs until `stop` is aborted. */
export async function runIntegrateJob(member: Member, duty: MirrorDuty, stop: AbortSignal): Promise<void> {
  const arrived = new Signal();
  const watcher = watch(duty.inbox.directory, { ignoreInitial: true, depth: 0, ignored: /\/\.[^/]*$/ });
  watcher.on("add", () => arrived.set());
  watcher.on("error", (error) =>
    member.context.logger.warn({ err: error }, "the inbox's watcher failed; scanning goes on"),
  );
  try {
    while (!stop.aborted) {
      const end = member.upstream?.status?.databases[duty.name]?.received?.txid ?? null;
      await duty.poll(end === null ? null : parseTxid(end));
      await arrived.wait(duty.heldBy === null ? SCAN_INTERVAL_MS : HELD_INTERVAL_MS, stop);
    }
  } finally {
    await watcher.close();
  }
}
