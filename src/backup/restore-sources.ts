/** Gathers what a member has to restore a database from: its journal, read beside a daemon or without one, and its backups. */
import { dirname, join } from "node:path";
import { backupConfiguration, type Configuration, type MemberConfiguration } from "../config/configuration.ts";
import { AfterimageError } from "../errors.ts";
import { Journal } from "../journal/journal.ts";
import { StateStore } from "../journal/state-store.ts";
import { type ListedBackup, listBackups } from "./backup-directory.ts";
import { BackupError } from "./backup-error.ts";
import { readSidecar } from "./backup-sidecar.ts";
import type { RestoreSources } from "./restore-plan.ts";

/** `from` is `journal` or the absolute path of a backup; null for whatever is cheapest. */
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
  readonly #store: StateStore | null;

  /** @throws BackupError when `from` is no backup of the database; StateError when the state is there and unusable. */
  constructor(options: SourceOptions) {
    const { self, database, from } = options;
    const backups = from === null || from === "journal" ? ownBackups(options) : [namedBackup(options, from)];
    this.#store = openState(join(self.state, "state.db"));
    const catalogue = this.#store?.catalogue ?? null;
    this.journal = catalogue === null ? null : new Journal(join(self.state, "journal"), catalogue);
    const kind = from === null ? "any" : from === "journal" ? "journal" : "backup";
    this.sources = { database, catalogue, backups, from: kind };
  }

  [Symbol.dispose](): void {
    this.#store?.close();
  }
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
