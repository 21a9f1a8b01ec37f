/**
 * A drill: a mirror's databases are promoted beside the mirror, as copies, checked, and thrown away.
 *
 * Guarantee: the mirror is only read, under the locks of a backup; its role and its files stay what they are. What a drill that
 * was killed has left goes with the next one. Databases are copied one after the other, each at a position of its own.
 */
import { dirname, join } from "node:path";
import type { BackupRun } from "../backup/make-backup.ts";
import { chosenDatabases } from "../backup/run-backups.ts";
import { sqliteVersion } from "../backup/sqlite-version.ts";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import { runHookProcess } from "../hooks/hook-process.ts";
import { Journal } from "../journal/journal.ts";
import { ProcessLock } from "../journal/process-lock.ts";
import { StateStore } from "../journal/state-store.ts";
import { assertFree } from "../member/free-space.ts";
import type { MemberControl } from "../member/member-control.ts";
import { MemberError } from "../member/member-error.ts";
import type { PossibleLoss } from "../member/possible-losses.ts";
import type { RunbookStep, StepListener } from "../member/runbook-steps.ts";
import { programVersion } from "../program-version.ts";
import { reigns } from "../roles/role-state.ts";
import { type DrilledCopy, drillCopy } from "./drill-copy.ts";
import { DrillDirectory } from "./drill-directory.ts";
import { DrillError } from "./drill-error.ts";

export interface DrillOptions {
  readonly configuration: Configuration;
  /** The mirror that this machine is. */
  readonly self: MemberConfiguration;
  readonly control: Pick<MemberControl, "validate" | "noteDrill">;
  /** Empty for all that the member has. */
  readonly databases: readonly string[];
  /** An executable file that looks into the copies; null for none. */
  readonly script: string | null;
  readonly scriptLimitMs: number;
  /** Where the copies are made; null for the state directory. */
  readonly directory: string | null;
  /** Leaves the copies where they can be looked into. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
  readonly onStep?: StepListener;
  readonly nowMs?: () => number;
}

export interface DrilledDatabase {
  readonly database: string;
  /** Null when it failed. */
  readonly copy: DrilledCopy | null;
  readonly error: ErrorDocument | null;
}

interface ErrorDocument {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

export interface DrillResult {
  readonly member: string;
  readonly ok: boolean;
  /** From the first step to the last, as a promotion of these databases would take at most. */
  readonly seconds: number;
  readonly databases: readonly DrilledDatabase[];
  readonly script: { readonly path: string; readonly ms: number; readonly error: ErrorDocument | null } | null;
  /** What a promotion would have lost at the end of the drill. */
  readonly losses: readonly PossibleLoss[];
  /** Where the copies are; null when they were thrown away. */
  readonly kept: string | null;
}

/**
 * What fails in a drill is part of its result.
 * @throws MemberError NOT_A_MIRROR, DISK_LOW; BackupError BACKUP_EMPTY, DATABASE_UNKNOWN; DrillError DRILL_IO; StateError
 * LOCK_HELD when another drill runs; the signal's reason. Nothing is left then.
 */
export async function drill(options: DrillOptions): Promise<DrillResult> {
  const { self } = options;
  using _lock = ProcessLock.acquire(join(self.state, "locks", "drill.db"), "afterimage drill");
  using store = StateStore.openReadOnly(join(self.state, "state.db"));
  assertMirror(store, self);
  return await new Drill(options, store).run();
}

export interface DrillPlan {
  readonly member: string;
  readonly databases: readonly string[];
  /** Where the copies would be made. */
  readonly directory: string;
  readonly script: string | null;
}

/** What a drill would do; changes nothing. @throws as {@link drill}, for what can be known before. */
export function planDrill(
  options: Pick<DrillOptions, "configuration" | "self" | "databases" | "script" | "directory">,
): DrillPlan {
  const { configuration, self, script } = options;
  using store = StateStore.openReadOnly(join(self.state, "state.db"));
  assertMirror(store, self);
  const databases = [...chosenDatabases(store, self, options.databases).keys()];
  const { path } = new DrillDirectory(self, options.directory);
  assertRoom(store, databases, { configuration, directory: dirname(path) });
  return { member: self.name, databases, directory: path, script };
}

class Drill {
  readonly #options: DrillOptions;
  readonly #store: StateStore;
  readonly #directory: DrillDirectory;
  readonly #nowMs: () => number;

  constructor(options: DrillOptions, store: StateStore) {
    this.#options = options;
    this.#store = store;
    this.#directory = new DrillDirectory(options.self, options.directory);
    this.#nowMs = options.nowMs ?? Date.now;
  }

  async run(): Promise<DrillResult> {
    const { self, databases, keep, control } = this.#options;
    const names = chosenDatabases(this.#store, self, databases);
    const beganMs = performance.now();
    this.#directory.make();
    let kept: string | null = null;
    try {
      const { configuration } = this.#options;
      assertRoom(this.#store, [...names.keys()], { configuration, directory: this.#directory.path });
      this.#done("drill:begun", `copies are made in ${this.#directory.path}`);
      const drilled: DrilledDatabase[] = [];
      for (const [name, path] of names) drilled.push(await this.#drillOne(name, path));
      const script = await this.#script(drilled);
      const seconds = (performance.now() - beganMs) / 1000;
      const { losses } = (await control.validate(self.name)).promotion;
      const ok = drilled.every(({ error }) => error === null) && (script?.error ?? null) === null;
      if (keep) kept = this.#directory.keep(this.#nowMs());
      const result = { member: self.name, ok, seconds, databases: drilled, script, losses, kept };
      await control.noteDrill({ ok, message: summary(result), seconds });
      return result;
    } finally {
      if (kept === null) this.#directory.remove();
      this.#done("drill:removed", kept === null ? "the copies are thrown away" : `the copies are kept in ${kept}`);
    }
  }

  async #drillOne(database: string, path: string): Promise<DrilledDatabase> {
    const { signal, self } = this.#options;
    const journal = new Journal(join(self.state, "journal"), this.#store.catalogue);
    try {
      const copy = await drillCopy({
        ...{ run: this.#backupRun(), journal, database, path },
        onCopied: () => this.#done("drill:copied", `${database}: copied, and integration goes on`),
        onIntegrated: () => this.#done("drill:integrated", `${database}: the copy has everything that was received`),
      });
      this.#done("drill:served", `${database}: the copy is promoted, checked and written to`);
      return { database, copy, error: null };
    } catch (error) {
      signal.throwIfAborted();
      return { database, copy: null, error: errorDocument(error) };
    }
  }

  /** The copies' paths are on its standard input, as JSON. */
  async #script(drilled: readonly DrilledDatabase[]): Promise<DrillResult["script"]> {
    const { script: path, scriptLimitMs: timeLimitMs, configuration, self, signal } = this.#options;
    if (path === null || drilled.some(({ copy }) => copy === null)) return null;
    const copies = Object.fromEntries(drilled.map(({ database, copy }) => [database, copy?.path ?? ""]));
    const document = { event: "drill", mirror: configuration.mirror, member: self.name, databases: copies };
    const beganMs = performance.now();
    const call = { path, args: ["drill"], environment: {}, timeLimitMs, stop: signal };
    const error = await runHookProcess({ ...call, input: `${JSON.stringify(document)}\n` }).then(
      ({ code, timedOut, stdout, stderr }) => {
        const how = timedOut ? `was not done after ${timeLimitMs / 1000} s` : `ended with ${code ?? "a signal"}`;
        const said = (stderr || stdout).trim().split("\n").at(-1) ?? "";
        return code === 0 && !timedOut ? null : scriptError(path, said === "" ? how : `${how}: ${said}`);
      },
      (cause: unknown) => scriptError(path, `cannot be started: ${messageOf(cause)}`),
    );
    signal.throwIfAborted();
    const ms = Math.round(performance.now() - beganMs);
    this.#done("drill:scripted", error === null ? `${path} found no fault` : error.message);
    return { path, ms, error };
  }

  #backupRun(): BackupRun {
    const { configuration, self, signal } = this.#options;
    return {
      ...{ self, signal, store: this.#store, mirror: configuration.mirror, role: "mirror", nowMs: this.#nowMs },
      ...{ directory: this.#directory.path, keep: { keep: 1, keepForMs: null }, check: "quick_check", waitMs: null },
      versions: { afterimage: programVersion(), sqlite: sqliteVersion() },
      onProgress: () => {},
    };
  }

  #done(step: RunbookStep, message: string): void {
    this.#options.onStep?.({ step, message });
  }
}

/** For all copies at once, as they stay until the end. */
function assertRoom(
  store: StateStore,
  names: readonly string[],
  { configuration, directory }: { configuration: Configuration; directory: string },
): void {
  const bytes = names.reduce((sum, name) => {
    const { pageSize = null, pageCount = null } = store.database(name) ?? {};
    return sum + (pageSize ?? 0) * (pageCount ?? 0);
  }, 0);
  assertFree(directory, configuration.journal, { bytes, what: "the copies of a drill" });
}

function assertMirror(store: StateStore, { name }: MemberConfiguration): void {
  const role = store.role();
  if (role?.role === "mirror") return;
  const is = role !== null && reigns(role) ? "operational" : (role?.role ?? "new");
  throw new MemberError("NOT_A_MIRROR", `${name} is ${is}: there is nothing to rehearse`, {
    hint: "Run the command on a mirror that is to take over one day.",
  });
}

function scriptError(path: string, how: string): ErrorDocument {
  const {
    code,
    message,
    hint = null,
  } = new DrillError("DRILL_SCRIPT", `${path} ${how}`, {
    hint: "With --keep the copies stay for a look.",
  });
  return { code, message, hint };
}

function errorDocument(error: unknown): ErrorDocument {
  if (!(error instanceof AfterimageError)) throw error;
  const { code, message, hint = null } = error;
  return { code, message, hint };
}

function summary({ ok, seconds, databases, script }: Omit<DrillResult, "losses" | "member" | "kept">): string {
  const failed = databases.filter(({ error }) => error !== null);
  const [first] = [...failed.map(({ database, error }) => `${database}: ${error?.message}`), script?.error?.message];
  const count = `${databases.length} ${databases.length === 1 ? "database" : "databases"}`;
  return ok ? `copies of ${count} were promoted in ${seconds.toFixed(1)} s` : `copies cannot be promoted: ${first}`;
}
