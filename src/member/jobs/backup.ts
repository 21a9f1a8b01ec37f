/**
 * The backup job: by the schedule `backup.schedule` the daemon starts `afterimage backup` as a process of its own, because
 * reading whole databases would hold up everything else here.
 */
import { z } from "zod";
import type { BackupConfiguration } from "../../config/configuration.ts";
import type { Member } from "../member.ts";
import type { MemberContext } from "../member-context.ts";
import { jobErrorSchema, runOwnProgram } from "./own-program.ts";
import { runScheduledJob } from "./scheduled-job.ts";

/** For a backup that somebody else has begun; integration ends with its batch. */
const WAIT = "1h";

const positionSchema = z.object({ epoch: z.int(), txid: z.string() });
const backupSchema = z.object({
  database: z.string(),
  path: z.string(),
  position: positionSchema.nullable(),
  bytes: z.int(),
  heldMs: z.int(),
});
/** The report of a run. */
const output = z.object({
  backups: z.array(backupSchema),
  failures: z.array(z.object({ database: z.string(), error: jobErrorSchema })),
});

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
  const args = ["backup", "--wait", WAIT, ...(backup.allowOperational ? ["--allow-operational"] : [])];
  const result = await runOwnProgram(context, args, { output, stop });
  if (result === null) return;
  if ("error" in result) {
    const { code, message } = result.error;
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
