/**
 * The job of deep verification: by the schedule `journal.deepVerify` a mirror's daemon starts `afterimage verify --deep`, which
 * has every member above it verify its copy too, and runs SQLite's quick_check on its own.
 */
import { z } from "zod";
import type { Member } from "../member.ts";
import type { MemberContext } from "../member-context.ts";
import { runOwnProgram } from "./own-program.ts";
import { runScheduledJob } from "./scheduled-job.ts";

const memberSchema = z.object({ member: z.string(), state: z.enum(["ok", "bad", "unknown"]) });
const output = z.object({
  databases: z.array(
    z.object({
      database: z.string(),
      ok: z.boolean(),
      position: z.string().nullable(),
      problems: z.array(z.string()),
      members: z.array(memberSchema).optional(),
    }),
  ),
});

type DatabaseResult = z.infer<typeof output>["databases"][number];

/** Runs until `stop` is aborted. The operational member has nobody above it: it verifies what mirrors ask it to. */
export async function runDeepVerifyJob(member: Member, stop: AbortSignal): Promise<void> {
  const { context } = member;
  const expression = context.configuration.journal.deepVerify;
  if (expression === null || member.roles.duty !== "mirror") return;
  const run = () => verifyDeep(context, stop);
  await runScheduledJob(context, { name: "deepVerify", database: null, expression, run }, stop);
}

async function verifyDeep(context: MemberContext, stop: AbortSignal): Promise<void> {
  const result = await runOwnProgram(context, ["verify", "--deep"], { output, stop });
  if (result === null) return;
  if ("error" in result) {
    const { code, message } = result.error;
    context.event("warn", "VERIFICATION_SKIPPED", null, `the members were not compared: ${message}`, { error: code });
    return;
  }
  for (const each of result.databases) report(context, each);
}

function report(context: MemberContext, { database, ok, position, problems, members = [] }: DatabaseResult): void {
  const named = (...states: string[]) =>
    members.filter(({ state }) => states.includes(state)).map((each) => each.member);
  const silent = named("unknown");
  const data = { position, members: named("ok", "bad"), silent, problems };
  if (!ok) context.event("error", "DEEP_VERIFICATION_FAILED", database, `the members differ: ${problems[0]}`, data);
  else if (silent.length > 0) {
    const message = `the copy here is right, but nobody could ask ${silent.join(", ")} for the one there`;
    context.event("warn", "VERIFICATION_SKIPPED", database, message, data);
  } else
    context.event(
      "info",
      "DEEP_VERIFIED",
      database,
      `the copies here and on ${named("ok").join(", ")} are equal`,
      data,
    );
}
