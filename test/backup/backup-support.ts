/** A clinic whose history is kept aside, and backups and restores of it, all in the test's own process. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type Database from "better-sqlite3";
import { onTestFinished } from "vitest";
import { restore } from "../../src/backup/restore.ts";
import { planRestore, type RestorePlan } from "../../src/backup/restore-plan.ts";
import { OpenSources } from "../../src/backup/restore-sources.ts";
import type { RestoreTarget } from "../../src/backup/restore-target.ts";
import { type BackupOptions, type BackupReport, runBackups } from "../../src/backup/run-backups.ts";
import type { Txid } from "../../src/ltx/position.ts";
import type { Member } from "../../src/member/member.ts";
import { CLINIC, createClinic, databasePath, type JournalKeys, openMember } from "../support/members.ts";

/** What the operational database was when a segment was cut. */
export interface KeptState {
  readonly txid: Txid;
  readonly timeMs: number;
  readonly image: Buffer;
}

export interface Clinic {
  readonly root: string;
  readonly lisbon: Member;
  readonly database: Database.Database;
  /** The clock of the member; the test sets it forward. */
  nowMs: number;
  /** Cuts a segment and keeps what the database is; null when nothing has changed. */
  rotate(): Promise<KeptState | null>;
}

/** An operational member with an empty clinic. It is closed when the test has finished. */
export async function openClinic(root: string, journal: JournalKeys = {}): Promise<Clinic> {
  const database = createClinic(databasePath(root, "lisbon"));
  const clock = { nowMs: 1_800_000_000_000 };
  const lisbon = await openMember(root, "lisbon", () => clock.nowMs, journal);
  onTestFinished(async () => {
    await lisbon.close();
    database.close();
  });
  const ended = () => lisbon.context.store.database(CLINIC)?.received?.txid ?? (0n as Txid);
  return Object.assign(clock, {
    root,
    lisbon,
    database,
    rotate: async () => {
      const before = ended();
      await lisbon.rotate();
      if (ended() === before) return null;
      return { txid: ended(), timeMs: clock.nowMs, image: database.serialize() };
    },
  });
}

/** Backs up the clinic where it is operational, without a daemon, at the position of the last rotation. */
export async function backUp({ lisbon }: Clinic, options: Partial<BackupOptions> = {}): Promise<BackupReport> {
  const { configuration, self } = lisbon.context;
  return await runBackups({
    configuration,
    self,
    databases: [],
    allowOperational: true,
    signal: new AbortController().signal,
    onProgress: () => undefined,
    nowMs: () => lisbon.context.nowMs(),
    ...options,
  });
}

export function plan({ lisbon }: Clinic, target: RestoreTarget, from: string | null = null): RestorePlan {
  const { configuration, self } = lisbon.context;
  using opened = new OpenSources({ configuration, self, database: CLINIC, from });
  return planRestore(opened.sources, target);
}

/** Carries a plan out and returns the bytes of the restored file. */
export async function carryOut({ root, lisbon }: Clinic, planned: RestorePlan, name: string): Promise<Buffer> {
  const to = join(root, name);
  const signal = new AbortController().signal;
  const { journal } = lisbon.context;
  await restore(planned, { journal, to, check: "integrity_check", signal, onProgress: () => undefined });
  return readFileSync(to);
}
