/**
 * Gathers what a member has to restore a database from: its journal, read beside a daemon or without one, and its backups; or
 * a state that is kept because it is in no later epoch.
 */
import { dirname, join } from "node:path";
import { backupConfiguration, type Configuration, type MemberConfiguration } from "../config/configuration.ts";
import { DivergenceError } from "../divergence/divergence-error.ts";
import { isKeptState, OpenKeptState } from "../divergence/kept-state.ts";
import { AfterimageError } from "../errors.ts";
import { Journal } from "../journal/journal.ts";
import { StateStore } from "../journal/state-store.ts";
import { type ListedBackup, listBackups } from "./backup-directory.ts";
import { BackupError } from "./backup-error.ts";
import { readSidecar } from "./backup-sidecar.ts";
import type { RestoreSources } from "./restore-plan.ts";

/** `from` is `journal`, or the absolute path of a backup or of a kept state; null for whatever is cheapest. */
export interface SourceOptions {
  readonly configuration: Configuration;
  readonly self: MemberConfiguration;
  readonly database: string;
  readonly from: string | null;
}

export class OpenSources implements Disposable {
  readonly sources: RestoreSources;
  /** Null when the member's state is lost. */
  readonly journal: Journal | null;
  readonly #opened: Disposable | null;

  /**
   * @throws BackupError when `from` is no backup of the database; DivergenceError when it is a kept state that cannot be used;
   * StateError when the state is there and unusable.
   */
  constructor(options: SourceOptions) {
    const { self, database, from } = options;
    if (from !== null && from !== "journal" && isKeptState(from)) {
      const kept = openKept(options, from);
      this.#opened = kept;
      this.journal = kept.journal;
      this.sources = { database, catalogue: kept.catalogue, backups: [], from: "journal" };
      return;
    }
    const backups = from === null || from === "journal" ? ownBackups(options) : [namedBackup(options, from)];
    const store = openState(join(self.state, "state.db"));
    this.#opened = store;
    const catalogue = store?.catalogue ?? null;
    this.journal = catalogue === null ? null : new Journal(join(self.state, "journal"), catalogue);
    const kind = from === null ? "any" : from === "journal" ? "journal" : "backup";
    this.sources = { database, catalogue, backups, from: kind };
  }

  [Symbol.dispose](): void {
    this.#opened?.[Symbol.dispose]();
  }
}

function openKept({ configuration, database }: SourceOptions, path: string): OpenKeptState {
  const kept = new OpenKeptState(path);
  const { mirror, database: name } = kept.state;
  if (mirror === configuration.mirror && name === database) return kept;
  kept[Symbol.dispose]();
  throw new DivergenceError("KEPT_FOREIGN", `this is a state of ${name} of ${mirror}`, { path });
}

function openState(path: string): StateStore | null {
  try {
    return StateStore.openReadOnly(path);
  } catch (error) {
    if (error instanceof AfterimageError && error.code === "STATE_MISSING") return null;
    throw error;
  }
}

/** Whichever member made them: a position means the same on every member of a mirror set. */
function ownBackups({ configuration, self, database }: SourceOptions): ListedBackup[] {
  return listBackups(backupConfiguration(self).directory).filter(
    ({ sidecar }) => sidecar?.mirror === configuration.mirror && sidecar.database === database,
  );
}

function namedBackup({ configuration, database }: SourceOptions, path: string): ListedBackup {
  const sidecar = readSidecar(path);
  if (sidecar.mirror === configuration.mirror && sidecar.database === database) {
    const { member, takenAt } = sidecar;
    return { path, database, member, takenAtMs: Date.parse(takenAt), sidecar, fault: null };
  }
  throw new BackupError("BACKUP_MISSING", `this is a backup of ${sidecar.database} of ${sidecar.mirror}`, {
    path,
    hint: `Backups of ${database} are listed by \`afterimage backup list\`; look in ${dirname(path)} as well.`,
  });
}
