/** Notes how far a copy is that is on its way here: a first one, or one that is made equal to the upstream's. */
import type { DatabaseStatus, MemberStatus } from "../status/member-status.ts";
import type { WorkNote } from "./long-work.ts";
import type { MemberContext } from "./member-context.ts";

type Step = Pick<WorkNote, "step" | "done" | "total">;

/** To be called now and then. @param status this member's own. */
export function noteArrivals({ work }: Pick<MemberContext, "work">, { role, databases }: MemberStatus): void {
  work.retain(role === "mirror" ? Object.keys(databases) : []);
  if (role !== "mirror") return;
  for (const [database, status] of Object.entries(databases)) {
    const resync = resyncStep(status);
    if (resync !== null) work.note({ kind: "resync", database, ...resync });
    else work.stop({ kind: "resync", database }, "it is no longer ordered");
    const seed = seedStep(status, work.has({ kind: "seed", database }));
    if (seed === "none") work.stop({ kind: "seed", database }, "there is a copy");
    else if (seed !== null) work.note({ kind: "seed", database, ...seed });
  }
}

function resyncStep({ resync, receiving, pageSize }: DatabaseStatus): Step | null {
  if (resync == null) return null;
  if (resync.state === "applying") return { step: "applying", done: 0, total: null };
  if (resync.state === "asking") {
    return receiving == null ? { step: "waiting for the upstream", done: 0, total: null } : arriving(receiving);
  }
  const bytes = resync.pageSize ?? pageSize ?? 0;
  return { step: "reading the copy", done: resync.done * bytes, total: (resync.total ?? 0) * bytes };
}

/** Null where it is noted by whoever does it, or has not begun; `none` where there is nothing to begin. */
function seedStep(
  { resync, receiving, integrated, received }: DatabaseStatus,
  isRunning: boolean,
): Step | "none" | null {
  if (integrated !== null || resync != null) return "none";
  if (receiving != null) return arriving(receiving);
  // What has arrived is checked before it is received.
  return isRunning && received === null ? { step: "checking", done: 0, total: null } : null;
}

function arriving({ bytes, total }: NonNullable<DatabaseStatus["receiving"]>): Step {
  return { step: "receiving", done: bytes, total };
}
