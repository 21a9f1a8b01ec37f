/**
 * The backup job: by the schedule `backup.schedule` the daemon starts `afterimage backup` as a process of its own, because
 * reading whole databases would hold up everything else here.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { BackupConfiguration } from "../../config/configuration.ts";
import type { Member } from "../member.ts";
import type { MemberContext } from "../member-context.ts";
import { runScheduledJob } from "./scheduled-job.ts";

const PROGRAM = fileURLToPath(new URL("../../../bin/afterimage", import.meta.url));
/** For a backup that somebody else has begun; integration ends with its batch. */
const WAIT = "1h";

const errorSchema = z.object({ code: z.string(), message: z.string() });
const positionSchema = z.object({ epoch: z.int(), txid: z.string() });
const backupSchema = z.object({
  database: z.string(),
  path: z.string(),
  position: positionSchema.nullable(),
  bytes: z.int(),
  heldMs: z.int(),
});
/** What the command prints: the report of a run, or why there was none. */
const outputSchema = z.union([
  z.object({
    backups: z.array(backupSchema),
    failures: z.array(z.object({ database: z.string(), error: errorSchema })),
  }),
  z.object({ error: errorSchema }),
]);

/** Runs until `stop` is aborted, and the backup that was begun has been given up. */
export async function runBackupJob(member: Member, stop: AbortSignal): Promise<void> {
  const { context } = member;
  const { backup } = context.self;
  if (backup === null || backup.schedule === null) return;
  if (member.role === "operational" && !backup.allowOperational) {
    const message = "backups are made on mirrors: the schedule rests while this member is operational";
    context.event("info", "BACKUP_SKIPPED", null, message);
    return;
  }
  const job = { name: "backup", database: null, expression: backup.schedule, run: () => backUp(context, backup, stop) };
  await runScheduledJob(context, job, stop);
}

async function backUp(context: MemberContext, backup: BackupConfiguration, stop: AbortSignal): Promise<void> {
  const { configuration, self } = context;
  const args = ["backup", "--json", "--quiet", "--wait", WAIT, "--config", configuration.path, "--node", self.name];
  if (backup.allowOperational) args.push("--allow-operational");
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "ignore"] });
  const end = () => child.kill("SIGTERM");
  stop.addEventListener("abort", end, { once: true });
  try {
    const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
    if (!stop.aborted) report(context, output);
  } finally {
    stop.removeEventListener("abort", end);
  }
}

function report(context: MemberContext, output: string): void {
  const result = parseOutput(output);
  if (result === null || "error" in result) {
    const { code, message } = result?.error ?? { code: "INTERNAL", message: "the backup ended without a word" };
    context.event("error", "BACKUP_FAILED", null, `no backup was made: ${message}`, { error: code });
    return;
  }
  for (const { database, path, position, bytes, heldMs } of result.backups) {
    const data = { path, txid: position?.txid ?? null, bytes, heldMs };
    context.event("info", "BACKUP_WRITTEN", database, "a backup was made and checked", data);
  }
  for (const { database, error } of result.failures) {
    const { code, message } = error;
    context.event("error", "BACKUP_FAILED", database, `no backup was made: ${message}`, { error: code });
  }
}

function parseOutput(output: string): z.infer<typeof outputSchema> | null {
  try {
    return outputSchema.parse(JSON.parse(output));
  } catch {
    return null;
  }
}
