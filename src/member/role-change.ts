/** What a change of the role demands of the databases: the fence of a member that was operational, and its removal on one that is now. */
import { existsSync } from "node:fs";
import type { DatabaseChange, DatabaseRow } from "../journal/state-store.ts";
import type { Position } from "../ltx/position.ts";
import { isFencedIn } from "../roles/role-state.ts";
import { fence, isFenced, unfence } from "../sqlite/fence.ts";
import { MirrorDatabase } from "../sqlite/mirror-database.ts";
import { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import { signatureOf } from "../sqlite/wal-mark.ts";
import { errorView } from "./error-view.ts";
import type { Member } from "./member.ts";
import type { MemberContext } from "./member-context.ts";
import type { DatabaseDuty } from "./member-roles.ts";
import { parseRecord } from "./mirror-record.ts";
import type { OperationalDuty } from "./operational-duty.ts";

/**
 * Fences every database of a member that must not serve, before anything else of the plan; what was captured until now is
 * cut up to its end. What fails is an event, and is tried again.
 * @returns whether all of them are fenced, or must not be.
 */
export async function fenceIfDeposed(member: Member): Promise<boolean> {
  const { state, duty: role } = member.roles;
  const givesUp = role === "operational" && isFencedIn(state) === true;
  if (role !== "none" && !givesUp) return true;
  const isDone = await attemptAll(member, "FENCE_FAILED", async (name, path) => {
    await fence(path);
    const duty = member.operational.get(name);
    duty?.noteFence();
    // What keeps the rest from being cut is in the duty's own report.
    if (duty !== undefined && duty.walBytes !== null) await duty.rotate().catch(() => undefined);
  });
  if (isDone && state.role === "demoted" && state.ends === null)
    member.context.steps.done("demote:fenced", "every database is read-only for applications");
  return isDone;
}

/**
 * Cuts the rest of what was committed before a demoted member was fenced; from then on it is known where its journals end.
 * @returns whether it is done, or there is nothing to do.
 */
export async function cutIfDemoted({ roles, context, operational }: Member): Promise<boolean> {
  if (roles.state.role !== "demoted" || roles.state.ends !== null || roles.duty === "none") return true;
  const ends: Record<string, Position> = {};
  for (const [name, duty] of operational) {
    try {
      if (!(await isCutWhole(context.databases.get(name) ?? "", duty))) return false;
    } catch {
      return false;
    }
    const { received = null } = context.store.database(name) ?? {};
    if (received !== null) ends[name] = received;
  }
  roles.apply({ type: "demotionCut", ends });
  context.steps.done("demote:cut", "everything that was committed is in the journal");
  return true;
}

/**
 * Makes the databases of a member that has claimed an epoch writable; then it is operational. Nothing else may have them
 * open in this process.
 * @returns whether it is done, or there is nothing to do.
 */
export async function serveIfClaimed(member: Member): Promise<boolean> {
  const { roles, context } = member;
  if (roles.state.role !== "claimed" || roles.duty === "none") return true;
  if (!(await attemptAll(member, "UNFENCE_FAILED", (name, path) => makeWritable(member, name, path)))) return false;
  roles.apply({ type: "served" });
  const { epoch, history } = roles;
  if (history.current?.reason === "switchover")
    context.steps.done("switchover:served", `the databases of ${context.self.name} are writable`);
  context.event("warn", "OPERATIONAL", null, `this member is operational in epoch ${epoch}`, { epoch });
  return true;
}

/** A mirror's copy proves by its own last commit where in the WAL capture begins, so that no page need be read. */
async function makeWritable(member: Member, name: string, path: string): Promise<void> {
  const { store } = member.context;
  const row = store.database(name);
  if (row === null || !isCopy(row)) {
    await unfence(path);
    // A connection that was open before still takes the database for read-only: ours as well.
    await member.operational.get(name)?.close();
    return;
  }
  if (!(await isFenced(path))) {
    // A crash came between the unfencing and its record, and applications may have written since: every page is compared.
    store.saveDatabase(name, { walPosition: null, mirrorMark: null, closedSignature: null });
    return;
  }
  const table = new PageChecksumTable(store.chunkStore(name), row.pageCount ?? 0, row.integrated?.checksum);
  const copy = await MirrorDatabase.open(path, { table, ...parseRecord(row) });
  try {
    const { salt1, salt2, frame, checksum1, checksum2 } = await copy.unfence();
    const walPosition = { salt1, salt2, frame, checksum1, checksum2 };
    store.saveDatabase(name, { walPosition, mirrorMark: null, closedSignature: null });
    // Before the copy is closed, or SQLite might remove the WAL, and the place in it with it.
    await member.operational.get(name)?.rotate();
  } finally {
    await copy.close();
  }
}

/**
 * Closes a database for good. One that was captured and becomes a mirror's copy is recognised by what is recorded of it when
 * it is fenced, all of it is in the journal, and no application keeps its WAL; else the mirror compares its pages.
 */
export async function letGo(
  { context, operational, mirrors }: Member,
  { name, path, next }: { name: string; path: string; next: DatabaseDuty },
): Promise<void> {
  const duty = operational.get(name);
  if (duty === undefined || next !== "mirror") {
    await (duty ?? mirrors.get(name))?.retire();
    return;
  }
  const isWhole = await isCutWhole(path, duty);
  await duty.retire();
  const change = recognisedWithoutWal(context, name, path);
  context.store.saveDatabase(name, isWhole ? change : { ...change, closedSignature: null });
}

/**
 * What a mirror recognises its copy by that was captured until now, and of which everything is in the journal: if it has no WAL
 * any more.
 */
export function recognisedWithoutWal({ store }: MemberContext, name: string, path: string): DatabaseChange {
  const checksum = store.database(name)?.integrated?.checksum;
  const isClosed = checksum !== undefined && existsSync(path) && !existsSync(`${path}-wal`);
  return { walPosition: null, mirrorMark: null, closedSignature: isClosed ? signatureOf(path, checksum) : null };
}

/** Whether nobody can write to it any more, and everything that was written is in the journal. */
async function isCutWhole(path: string, duty: OperationalDuty): Promise<boolean> {
  try {
    if (!(await isFenced(path))) return false;
    await duty.rotate();
    return true;
  } catch {
    return false;
  }
}

/** Whether what is known of the file is what a mirror left; after a crash it may be writable already. */
function isCopy({ integrated, mirrorMark, closedSignature }: DatabaseRow): boolean {
  return integrated !== null && (mirrorMark !== null || closedSignature !== null);
}

async function attemptAll(
  member: Member,
  code: "FENCE_FAILED" | "UNFENCE_FAILED",
  change: (name: string, path: string) => Promise<void>,
): Promise<boolean> {
  const databases = [...member.context.databases].filter(([, path]) => existsSync(path));
  const done = await Promise.all(
    databases.map(async ([name, path]) => {
      try {
        await change(name, path);
        return true;
      } catch (error) {
        const { message, code: cause } = errorView(error, member.context.nowMs());
        member.context.event("error", code, name, message, { error: cause });
        return false;
      }
    }),
  );
  return done.every(Boolean);
}
