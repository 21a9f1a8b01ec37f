/**
 * The drill job: by the schedule `drill.schedule` a mirror's daemon starts `afterimage drill`, which keeps an event of how it
 * ended. What kept it from being made at all is told here.
 */
import { z } from "zod";
import type { Member } from "../member.ts";
import type { MemberContext } from "../member-context.ts";
import { runOwnProgram } from "./own-program.ts";
import { runScheduledJob } from "./scheduled-job.ts";

const output = z.object({ ok: z.boolean() });

/** Runs until `stop` is aborted, and the drill that was begun has been given up. */
export async function runDrillJob(member: Member, stop: AbortSignal): Promise<void> {
  const { context } = member;
  const expression = context.self.drill?.schedule ?? null;
  if (expression === null || member.roles.duty !== "mirror") return;
  await runScheduledJob(context, { name: "drill", database: null, expression, run: () => drill(context, stop) }, stop);
}

async function drill(context: MemberContext, stop: AbortSignal): Promise<void> {
  const result = await runOwnProgram(context, ["drill"], { output, stop });
  if (result === null || !("error" in result)) return;
  const { code, message } = result.error;
  context.event("error", "DRILL_FAILED", null, `no drill was made: ${message}`, { error: code });
}
