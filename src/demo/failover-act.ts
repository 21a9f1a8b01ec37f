/**
 * The third act of the demonstration: the operational machine is lost under load. Its daemon and the application are killed,
 * the rest is fetched from its disk, a mirror takes over, the application goes on there, and the lost member comes back as a
 * mirror. Every step is a command that an operator would type.
 */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import type { FailoverResult } from "./demo-report.ts";
import type { DemoSet } from "./demo-set.ts";
import { OrderAudit } from "./order-audit.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/afterimage", import.meta.url));

export interface FailoverStage {
  readonly set: DemoSet;
  readonly say: (line: string) => void;
  readonly until: (what: string, condition: () => boolean) => Promise<void>;
  /** Ends the application without warning. */
  killApplication(): Promise<void>;
  /** Starts it again, on the database of the operational member; resolves when it has committed something. */
  resumeApplication(): Promise<void>;
}

/** Plays the act; `successor` is a mirror. @throws Error when a command fails. */
export async function failOver(stage: FailoverStage, successor: string): Promise<FailoverResult> {
  const { set, say } = stage;
  const lost = set.operational;
  const killedAtMs = performance.now();
  await Promise.all([set.killDaemon(lost), stage.killApplication()]);
  say(`\n${lost} is lost: its daemon and the application were killed in the middle of their work.`);
  const committed = commitsOnDisk(set, lost);

  await command(stage, successor, ["salvage", "--from", set.statePath(lost)]);
  const beganMs = performance.now();
  await command(stage, successor, ["promote"]);
  const promotedAtMs = performance.now();
  const kept = commitsOf(set.databasePath(successor));
  set.takeOver(successor);
  await stage.resumeApplication();
  const resumedAtMs = performance.now();
  say(`The application goes on at ${successor}.`);

  set.startDaemon(lost);
  await stage.until(`${lost} knows that it was replaced`, () => set.status(lost)?.state === "fenced");
  await command(stage, lost, ["rejoin", "--yes"]);
  await stage.until(`${lost} follows ${successor}`, () => set.isFollowing(lost));
  say(`${lost} is a mirror now, and follows ${successor}.`);
  return {
    lost: Math.max(0, committed - kept),
    secondsToPromote: seconds(promotedAtMs - beganMs),
    secondsToRecover: seconds(resumedAtMs - killedAtMs),
  };
}

/** Commits that are in the files of a member that nothing runs on, counted in a copy: reading them would change them. */
function commitsOnDisk(set: DemoSet, member: string): number {
  const copies = mkdtempSync(join(set.root, "lost-"));
  try {
    const copy = join(copies, "copy.db");
    for (const suffix of ["", "-wal"]) {
      const path = `${set.databasePath(member)}${suffix}`;
      if (existsSync(path)) copyFileSync(path, `${copy}${suffix}`);
    }
    return commitsOf(copy);
  } finally {
    rmSync(copies, { recursive: true });
  }
}

function commitsOf(path: string): number {
  const db = new Database(path);
  try {
    return new OrderAudit(db).glimpse(Number.MAX_SAFE_INTEGER).commits;
  } finally {
    db.close();
  }
}

/** Runs a command as the operator of `member`, and shows it with what it says. */
async function command({ set, say }: FailoverStage, member: string, args: readonly string[]): Promise<void> {
  say(`${member}$ afterimage ${args.join(" ")}`);
  const all = [PROGRAM, ...args, "--config", set.configPath, "--node", member];
  const child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "pipe"] });
  const [out, errors, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once("close", resolve)),
  ]);
  for (const line of out.trimEnd().split("\n")) say(`  ${line}`);
  if (code !== 0) throw new Error(`afterimage ${args[0]} ended with exit code ${code}:\n${errors}`);
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
