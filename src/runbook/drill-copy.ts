/** One database of a drill: copied as a backup is, brought to the end of what was received, and promoted as a copy. */
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { sidecarPath } from "../backup/backup-sidecar.ts";
import { type BackupRun, makeBackup } from "../backup/make-backup.ts";
import { bringForward } from "../backup/restore.ts";
import { planRestore, type RestorePlan } from "../backup/restore-plan.ts";
import { describePoint } from "../backup/restore-target.ts";
import { messageOf } from "../errno.ts";
import type { Journal } from "../journal/journal.ts";
import { fence, isFenced, unfence } from "../sqlite/fence.ts";
import { DrillError } from "./drill-error.ts";

export interface DrillTimes {
  /** Reading the mirror, and SQLite's quick_check of the copy. */
  readonly copyMs: number;
  /** Integrating what was received and held back. */
  readonly integrateMs: number;
  /** Comparing the pages with the journal's checksum, and integrity_check. */
  readonly checkMs: number;
  /** Making the copy writable for applications. */
  readonly unfenceMs: number;
  /** foreign_key_check, and a write that is rolled back. */
  readonly writeMs: number;
}

/** A copy that was promoted. */
export interface DrilledCopy {
  readonly path: string;
  /** `epoch:txid of time`: the last state that was received. */
  readonly state: string;
  readonly bytes: number;
  /** Segments that the mirror had received and not integrated. */
  readonly segments: number;
  /** How long integration into the mirror was held off. */
  readonly heldMs: number;
  /** What SQLite's check was; null when it could not be made, see `unchecked`. */
  readonly check: string | null;
  readonly unchecked: string | null;
  /** Rows that break a foreign key, the mirror's as well; applications need not enforce them, so it is no failure. */
  readonly foreignKeyProblems: number;
  readonly times: DrillTimes;
}

export interface DrillCopyOptions {
  readonly run: BackupRun;
  readonly journal: Journal;
  readonly database: string;
  /** The mirror's own file. */
  readonly path: string;
  readonly onCopied: () => void;
  readonly onIntegrated: () => void;
}

/** @throws BackupError, RestoreError, SegmentError, DatabaseError, DrillError DRILL_WRITE; the signal's reason. */
export async function drillCopy(options: DrillCopyOptions): Promise<DrilledCopy> {
  const { run, journal, database, path } = options;
  const clock = new StepClock();
  const { path: made, sidecar, heldMs } = await makeBackup(run, database, path);
  const plan = planOf(run, database, made, sidecar);
  const copy = join(run.directory, `${database}.db`);
  renameSync(made, copy);
  rmSync(sidecarPath(made), { force: true });
  const copyMs = clock.lap();
  options.onCopied();
  let integrateMs = 0;
  const { signal } = run;
  const restored = await bringForward(plan, copy, {
    ...{ journal, signal, check: "integrity_check" },
    onProgress: ({ step }) => {
      if (step === "summing" && integrateMs === 0) integrateMs = clock.lap();
    },
  });
  const checkMs = clock.lap();
  options.onIntegrated();
  await promoteCopy(copy);
  const unfenceMs = clock.lap();
  const foreignKeyProblems = writeToCopy(copy);
  return {
    ...{ path: copy, bytes: restored.bytes, segments: plan.segments.length, heldMs, foreignKeyProblems },
    state: plan.point === null ? "unknown" : describePoint(plan.point),
    check: restored.check.passed,
    unchecked: restored.check.reason,
    times: { copyMs, integrateMs, checkMs, unfenceMs, writeMs: clock.lap() },
  };
}

type Sidecar = Awaited<ReturnType<typeof makeBackup>>["sidecar"];

function planOf({ store, self }: BackupRun, database: string, path: string, sidecar: Sidecar): RestorePlan {
  const takenAtMs = Date.parse(sidecar.takenAt);
  const listed = { path, database, member: self.name, takenAtMs, sidecar, fault: null };
  return planRestore({ database, catalogue: store.catalogue, backups: [listed], from: "backup" }, { kind: "newest" });
}

/** A backup is writable; what is proved is that the fence of a mirror's copy comes off here, with this SQLite. */
async function promoteCopy(path: string): Promise<void> {
  await fence(path);
  await unfence(path);
  if (await isFenced(path)) throw new DrillError("DRILL_WRITE", "the fence of the copy did not come off", { path });
}

/** Opens the copy as an application does. @returns rows that break a foreign key. */
function writeToCopy(path: string): number {
  const database = new SqliteDatabase(path, { fileMustExist: true, timeout: 1_000 });
  try {
    const broken = database.prepare("SELECT count(*) FROM pragma_foreign_key_check").pluck().get();
    database.exec("BEGIN IMMEDIATE; CREATE TABLE afterimage_drill (written INTEGER) STRICT");
    const { changes } = database.prepare("INSERT INTO afterimage_drill VALUES (1)").run();
    database.exec("ROLLBACK");
    if (changes !== 1) throw new DrillError("DRILL_WRITE", "a row written to the copy is not there", { path });
    return Number(broken);
  } catch (error) {
    if (error instanceof DrillError) throw error;
    throw new DrillError("DRILL_WRITE", `applications could not write to the promoted copy: ${messageOf(error)}`, {
      path,
      hint: "Keep the copy with --keep, and open it by hand.",
      cause: error,
    });
  } finally {
    database.close();
  }
}

class StepClock {
  #sinceMs = performance.now();

  /** Milliseconds since the last lap. */
  lap(): number {
    const nowMs = performance.now();
    const lapMs = Math.round(nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
    return lapMs;
  }
}
