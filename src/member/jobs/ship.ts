/** The shipping job of one follower: what waits goes as soon as it is cut, or by the schedule `journal.ship`. */
import type { MemberContext } from "../member-context.ts";
import type { Shipper } from "../shipper.ts";
import { runScheduledJob } from "./scheduled-job.ts";

/** Ships all that there is at once, whatever the schedule says, to a member that has asked for it; runs until `stop` is aborted. */
export async function runShipNowJob(shipper: Shipper, stop: AbortSignal): Promise<void> {
  await Promise.all([shipper.run(stop), shipper.ship()]);
}

/** Runs until `stop` is aborted. Receipts are read all the time; what a schedule left undone is tried until it is done. */
export async function runShipJob(context: MemberContext, shipper: Shipper, stop: AbortSignal): Promise<void> {
  const { ship } = context.configuration.journal;
  if (ship.kind === "continuous") {
    await shipper.run(stop);
    return;
  }
  const { expression } = ship;
  const run = async () => {
    await shipper.ship();
  };
  await Promise.all([
    shipper.run(stop),
    runScheduledJob(context, { name: "ship", database: null, expression, run }, stop),
  ]);
}
