/** One run of backups on a member: a copy of its own state, then its databases one after the other. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { backupConfiguration, type Configuration, type MemberConfiguration } from "../config/configuration.ts";
import { configuredPath } from "../config/database-pattern.ts";
import { AfterimageError } from "../errors.ts";
import { StateStore } from "../journal/state-store.ts";
import { programVersion } from "../program-version.ts";
import { reigns } from "../roles/role-state.ts";
import { BackupError } from "./backup-error.ts";
import { type BackupProgress, type BackupRun, type MadeBackup, makeBackup } from "./make-backup.ts";
import type { CheckKind } from "./sqlite-check.ts";
import { sqliteVersion } from "./sqlite-version.ts";
import { copyState, type StateCopy } from "./state-copy.ts";

export interface BackupOptions {
  readonly configuration: Configuration;
  readonly self: MemberConfiguration;
  /** Empty for all that the member has. */
  readonly databases: readonly string[];
  /** How long to wait for an integration, or another backup; null: as long as it takes; absent: not at all. */
  readonly waitMs?: number | null | undefined;
  /** A backup of an operational member disturbs its application and has no position, so it must be asked for. */
  readonly allowOperational: boolean;
  /** Replaces the configured check. */
  readonly check?: CheckKind | undefined;
  readonly signal: AbortSignal;
  onProgress(progress: BackupProgress): void;
  readonly nowMs?: () => number;
}

export interface FailedBackup {
  readonly database: string;
  readonly error: AfterimageError;
}

export interface BackupReport {
  readonly directory: string;
  readonly state: StateCopy;
  readonly backups: readonly MadeBackup[];
  /** A database that fails does not keep the others from being backed up. */
  readonly failures: readonly FailedBackup[];
}

/**
 * @throws BackupError BACKUP_REFUSED, BACKUP_EMPTY, DATABASE_UNKNOWN, what keeps the state from being copied; StateError STATE_MISSING; the
 * signal's reason.
 */
export async function runBackups(options: BackupOptions): Promise<BackupReport> {
  const { configuration, self, signal, nowMs = Date.now } = options;
  const statePath = join(self.state, "state.db");
  using store = StateStore.openReadOnly(statePath);
  const known = store.role();
  const role = known !== null && reigns(known) ? "operational" : "mirror";
  if (role === "operational" && !options.allowOperational) throw refused(self.name);
  const names = chosenDatabases(store, self, options.databases);
  const { directory, keep, keepForMs, check } = backupConfiguration(self);
  const run: BackupRun = {
    mirror: configuration.mirror,
    self,
    role,
    store,
    directory,
    keep: { keep, keepForMs },
    check: options.check ?? (check === "full" ? "integrity_check" : "quick_check"),
    waitMs: options.waitMs,
    versions: { afterimage: programVersion(), sqlite: sqliteVersion() },
    nowMs,
    signal,
    onProgress: options.onProgress,
  };
  const sources = {
    mirror: configuration.mirror,
    member: self.name,
    state: statePath,
    configuration: configuration.path,
  };
  const state = copyState(sources, directory, run.keep, nowMs());
  const backups: MadeBackup[] = [];
  const failures: FailedBackup[] = [];
  for (const [name, path] of names) {
    try {
      backups.push(await makeBackup(run, name, path));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AfterimageError)) throw error;
      failures.push({ database: name, error });
    }
  }
  return { directory, state, backups, failures };
}

/**
 * Names and paths: those that were asked for, or all of which the member has something.
 * @throws BackupError BACKUP_EMPTY, DATABASE_UNKNOWN.
 */
export function chosenDatabases(
  store: StateStore,
  self: MemberConfiguration,
  asked: readonly string[],
): Map<string, string> {
  const chosen = new Map<string, string>();
  for (const name of asked.length > 0 ? asked : store.databaseNames()) {
    const path = configuredPath(self, name);
    if (path === null && asked.length > 0) throw unknown(name);
    if (path !== null && (asked.length > 0 || isThere(store, self, name, path))) chosen.set(name, path);
  }
  if (chosen.size === 0) throw nothingYet(self.name);
  return chosen;
}

/** A database that has just begun is not there yet, and one that only a pattern names may have been removed. */
function isThere(store: StateStore, self: MemberConfiguration, name: string, path: string): boolean {
  return store.database(name)?.integrated != null && (self.databases.has(name) || existsSync(path));
}

function refused(member: string): BackupError {
  return new BackupError("BACKUP_REFUSED", `${member} is operational: backups are made on mirrors`, {
    hint: "Run it on a mirror. With --allow-operational it is made here, beside the application, whose WAL grows meanwhile.",
  });
}

function nothingYet(member: string): BackupError {
  return new BackupError("BACKUP_EMPTY", `${member} has nothing of any database yet`, {
    hint: "Wait until it has integrated its first snapshot: see `afterimage status`.",
  });
}

function unknown(name: string): BackupError {
  return new BackupError("DATABASE_UNKNOWN", `this member has no database ${name}`, {
    hint: "Its databases are listed under `databases` in the configuration.",
  });
}
