/** What a change of the role demands of the databases: the fence of a member that was operational, and its removal on one that is now. */
import { existsSync } from "node:fs";
import { fence, unfence } from "../sqlite/fence.ts";
import { errorView } from "./error-view.ts";
import type { Member } from "./member.ts";

/**
 * Fences every database of a member that must not serve, each after a last cut where it was captured; before anything else of
 * the plan. What fails is an event, and is tried again.
 * @returns whether all of them are fenced, or must not be.
 */
export async function fenceIfDeposed(member: Member): Promise<boolean> {
  if (member.roles.duty !== "none") return true;
  const databases = [...member.context.databases].filter(([, path]) => existsSync(path));
  const done = await Promise.all(
    databases.map(([name, path]) =>
      attempt(member, name, "FENCE_FAILED", async () => {
        const duty = member.operational.get(name);
        if (duty === undefined) await fence(path);
        else await duty.depose();
      }),
    ),
  );
  return done.every(Boolean);
}

/**
 * Makes the databases of a member that has claimed an epoch writable; then it is operational. Nothing may have them open.
 * @returns whether it is done, or there is nothing to do.
 */
export async function serveIfClaimed(member: Member): Promise<boolean> {
  const { roles, context } = member;
  if (roles.state.role !== "claimed" || roles.duty === "none") return true;
  const databases = [...context.databases].filter(([, path]) => existsSync(path));
  const done = await Promise.all(
    databases.map(([name, path]) => attempt(member, name, "UNFENCE_FAILED", () => unfence(path))),
  );
  if (!done.every(Boolean)) return false;
  roles.apply({ type: "served" });
  const { epoch } = roles;
  context.event("warn", "OPERATIONAL", null, `this member is operational in epoch ${epoch}`, { epoch });
  return true;
}

async function attempt(member: Member, name: string, code: string, change: () => Promise<unknown>): Promise<boolean> {
  try {
    await change();
    return true;
  } catch (error) {
    const { message } = errorView(error, member.context.nowMs());
    member.context.event("error", code, name, message);
    return false;
  }
}
