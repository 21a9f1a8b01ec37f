/**
 * Finds what is left of a member, by what the files are and not by what their directory is called: its state, its journal,
 * and its databases.
 *
 * The given directory may be the state directory, the journal directory, the directory of a database, or one under which the
 * paths of the configuration lie, such as the mount point of the lost disk.
 */
import { basename, dirname, join, posix } from "node:path";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { configuredPath } from "../config/database-pattern.ts";
import { AfterimageError } from "../errors.ts";
import { parseEpoch } from "../journal/segment-name.ts";
import { type Identity, StateStore } from "../journal/state-store.ts";
import type { Position } from "../ltx/position.ts";
import type { RoleState } from "../roles/role-state.ts";
import type { WalPosition } from "../sqlite/wal-format.ts";
import { copyWithRoom, type LostFiles } from "./lost-files.ts";
import { SalvageError } from "./salvage-error.ts";

/** What the lost member's state says of one of its databases. */
export interface LostRow {
  /** The end of its journal. */
  readonly received: Position | null;
  /** Where in the WAL that is. */
  readonly walPosition: WalPosition | null;
}

export interface LostState {
  readonly identity: Identity;
  readonly role: RoleState | null;
  readonly rows: ReadonlyMap<string, LostRow>;
}

export interface LostMachine {
  /** Null when there is no state that tells. */
  readonly state: LostState | null;
  /** Null when no journal was found. */
  readonly journal: string | null;
  /** Paths of the database files that there are, or whose `-wal` there is, by database name. */
  readonly databases: ReadonlyMap<string, string>;
  /** What could not be looked at. */
  readonly unreadable: readonly string[];
}

export interface SearchOptions {
  /** An absolute path: where to look. */
  readonly directory: string;
  readonly files: LostFiles;
  readonly configuration: Configuration;
  readonly self: MemberConfiguration;
  /** Names of those that are looked for. */
  readonly databases: readonly string[];
  /** An empty directory for copies. */
  readonly scratch: string;
}

/**
 * @throws SalvageError SALVAGE_NOTHING_FOUND; SALVAGE_FOREIGN when the state is another mirror set's, or this member's own.
 * StateError when a state is there and cannot be used.
 */
export async function findLostMachine(options: SearchOptions): Promise<LostMachine> {
  const search = new Search(options);
  const machine = await search.run();
  if (machine.state === null && machine.journal === null && machine.databases.size === 0) {
    const denied = machine.unreadable.length === 0 ? "" : `; ${machine.unreadable.join("; ")}`;
    throw new SalvageError(
      "SALVAGE_NOTHING_FOUND",
      `neither a state, nor a journal, nor a database is there${denied}`,
      {
        path: options.directory,
        hint: "Give the lost member's state directory, or the directory under which its disk is mounted.",
      },
    );
  }
  return machine;
}

/**
 * The directory under which the lost machine's own paths begin, when `directory` is known to end with one of them: the lost
 * machine's databases can then be found from its state directory. Null when it cannot be told.
 */
export function rootOf(directory: string, configuration: Configuration): string | null {
  for (const { state, databases } of configuration.members.values()) {
    const known = [state, join(state, "journal"), ...[...databases.values()].map((path) => dirname(path))];
    for (const path of known) if (directory.endsWith(path)) return directory.slice(0, -path.length) || "/";
  }
  return null;
}

class Search {
  readonly #options: SearchOptions;
  readonly #roots: readonly string[];
  readonly #unreadable: string[] = [];

  constructor(options: SearchOptions) {
    this.#options = options;
    const root = rootOf(options.directory, options.configuration);
    this.#roots = root === null ? [options.directory] : [options.directory, root];
  }

  async run(): Promise<LostMachine> {
    const { directory } = this.#options;
    const stateDirectory = await this.#first(this.#stateDirectories(), (path) => this.#isFile(join(path, "state.db")));
    const state = stateDirectory === null ? null : await this.#readState(join(stateDirectory, "state.db"));
    const journals = [stateDirectory, ...this.#stateDirectories()].flatMap((path) =>
      path === null ? [] : [join(path, "journal")],
    );
    const journal = await this.#first([...journals, directory], (path) => this.#isJournal(path));
    const databases = new Map<string, string>();
    for (const name of this.#options.databases) {
      const path = await this.#first(this.#databasePaths(name, state), (candidate) => this.#isDatabase(candidate));
      if (path !== null) databases.set(name, path);
    }
    return { state, journal, databases, unreadable: this.#unreadable };
  }

  #stateDirectories(): string[] {
    const { directory, configuration } = this.#options;
    const configured = [...configuration.members.values()].map(({ state }) => state);
    const below = this.#roots.flatMap((root) => configured.map((state) => join(root, state)));
    return [directory, ...(basename(directory) === "journal" ? [dirname(directory)] : []), ...below];
  }

  #databasePaths(name: string, state: LostState | null): string[] {
    const { directory, configuration } = this.#options;
    const owner = state === null ? undefined : configuration.members.get(state.identity.member);
    const members = owner === undefined ? [...configuration.members.values()] : [owner];
    const configured = members.flatMap((member) => configuredPath(member, name) ?? []);
    const below = this.#roots.flatMap((root) => configured.map((path) => join(root, path)));
    return [...new Set([...below, ...configured.map((path) => join(directory, basename(path)))])];
  }

  async #isFile(path: string): Promise<boolean> {
    return (await this.#options.files.stat(path)) !== null;
  }

  async #isDatabase(path: string): Promise<boolean> {
    return (await this.#isFile(path)) || (await this.#isFile(`${path}-wal`));
  }

  /** Whether one of our databases has an epoch there. */
  async #isJournal(path: string): Promise<boolean> {
    const { files, databases } = this.#options;
    for (const { name } of await files.list(path)) {
      if (!databases.includes(name)) continue;
      const epochs = await files.list(posix.join(path, name));
      if (epochs.some((entry) => parseEpoch(entry.name) !== null)) return true;
    }
    return false;
  }

  /** The first candidate for which `test` holds; one that may not be looked at is noted, and counts as missing. */
  async #first(candidates: readonly string[], test: (path: string) => Promise<boolean>): Promise<string | null> {
    for (const path of new Set(candidates)) {
      try {
        if (await test(path)) return path;
      } catch (error) {
        if (!(error instanceof AfterimageError) || error.code !== "SALVAGE_UNREADABLE") throw error;
        this.#unreadable.push(`${path}: ${error.message}`);
      }
    }
    return null;
  }

  /** Reads a copy: SQLite writes beside a database that it opens, even for reading. */
  async #readState(path: string): Promise<LostState> {
    const { files, scratch } = this.#options;
    const copy = join(scratch, "state.db");
    await copyWithRoom(files, path, copy);
    await copyWithRoom(files, `${path}-wal`, `${copy}-wal`);
    using store = StateStore.openReadOnly(copy);
    this.#assertOurs(store.identity, path);
    const rows = this.#options.databases.map((name): [string, LostRow] => {
      const row = store.database(name);
      return [name, { received: row?.received ?? null, walPosition: row?.walPosition ?? null }];
    });
    return { identity: store.identity, role: store.role(), rows: new Map(rows) };
  }

  #assertOurs({ mirror, member }: Identity, path: string): void {
    const { configuration, self } = this.#options;
    const isOther = member !== self.name && configuration.members.has(member);
    if (mirror === configuration.mirror && isOther) return;
    const whose = mirror === configuration.mirror ? `member ${member}` : `member ${member} of mirror set ${mirror}`;
    throw new SalvageError("SALVAGE_FOREIGN", `this is the state of ${whose}`, {
      path,
      hint: `Give the place of a lost member of ${configuration.mirror} other than ${self.name}.`,
    });
  }
}
