/**
 * The databases of an operational member: those that its configuration names, and the files that its patterns find.
 *
 * Guarantee: a database that was served is taken as removed only when its directory could be read and its file is not there.
 * A new file is taken up once it is a whole database; what was served before is, whatever its file looks like now.
 */
import { readdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import {
  type DatabasePattern,
  type DatabaseSet,
  databasesAt,
  type NamedPath,
  pathOf,
  patternDirectory,
} from "../config/database-pattern.ts";
import { databaseNameFault } from "../config/names.ts";
import { messageOf } from "../errno.ts";
import { isWholeDatabase } from "../sqlite/whole-database.ts";
import type { ErrorView } from "../status/member-status.ts";
import { errorView } from "./error-view.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";

export class OperationalDatabases {
  readonly #context: MemberContext;
  /** By the path of the pattern. */
  readonly #unreadable = new Map<string, ErrorView>();
  /** Paths of files that were left out, each said once. */
  readonly #ignored = new Set<string>();
  /** Size and time of files that were no databases when they were looked at last, by path. */
  readonly #rejected = new Map<string, string>();

  constructor(context: MemberContext) {
    this.#context = context;
  }

  /** Directories of patterns that could not be read at the last look. */
  get errors(): ErrorView[] {
    return [...this.#unreadable.values()];
  }

  /** The database files that are to be served now, by name. */
  find({ databases, databasePatterns }: DatabaseSet): Map<string, string> {
    const found = new Map(databases);
    const named = new Set(databases.values());
    for (const pattern of databasePatterns) {
      for (const { name, path } of this.#filesOf(pattern)) {
        if (named.has(path)) continue;
        const holder = found.get(name);
        if (holder === undefined) found.set(name, path);
        else this.#ignore(path, `${path} would be ${name}, which is ${holder}`);
      }
    }
    const patterns = new Set(databasePatterns.map(({ path }) => path));
    for (const path of this.#unreadable.keys()) if (!patterns.has(path)) this.#unreadable.delete(path);
    return found;
  }

  /** Whether a database that only a pattern names has no file any more, as far as its directory can be read. */
  isGone(name: string, { databases, databasePatterns }: DatabaseSet): boolean {
    const pattern = databases.has(name) ? undefined : databasePatterns.find((each) => pathOf(each, name) !== null);
    const path = pattern === undefined ? null : pathOf(pattern, name);
    if (pattern === undefined || path === null) return false;
    try {
      if (!statSync(patternDirectory(pattern)).isDirectory()) return false;
      return statSync(path, { throwIfNoEntry: false }) === undefined;
    } catch {
      return false;
    }
  }

  #filesOf(pattern: DatabasePattern): NamedPath[] {
    const directory = patternDirectory(pattern);
    const entries = this.#entries(pattern, directory);
    if (entries !== null) {
      const isListed = dirname(pattern.path) === directory;
      return entries
        .map(databasesAt(pattern))
        .filter((file) => file !== null)
        .filter((file) => this.#isServed(file, isListed) || (this.#isThere(file) && this.#isNamed(file)));
    }
    return this.#context.store.databaseNames().flatMap((name) => {
      const path = pathOf(pattern, name);
      return path === null ? [] : [{ name, path }];
    });
  }

  /** Null when the directory cannot be read. */
  #entries(pattern: DatabasePattern, directory: string): string[] | null {
    try {
      const entries = readdirSync(directory).sort();
      if (this.#unreadable.delete(pattern.path))
        this.#context.event("info", "DATABASES_READABLE", null, `${directory} can be read again`);
      return entries;
    } catch (cause) {
      if (this.#unreadable.has(pattern.path)) return null;
      const error = new MemberError(
        "DATABASES_UNREADABLE",
        `the databases ${pattern.name} cannot be looked for: ${messageOf(cause)}`,
        {
          path: directory,
          hint: "Make the directory, or let this user read it. No database is taken as removed meanwhile.",
          cause,
        },
      );
      const view = errorView(error, this.#context.nowMs());
      this.#unreadable.set(pattern.path, view);
      this.#context.event("error", view.code, null, view.message, { path: directory });
      this.#context.changed();
      return null;
    }
  }

  #isNamed({ name, path }: NamedPath): boolean {
    const fault = databaseNameFault(name);
    if (fault !== null) this.#ignore(path, `${path} would be ${JSON.stringify(name)}, but ${fault}`);
    return fault === null;
  }

  /** @param isListed whether the file itself is an entry of the directory that was read. */
  #isServed({ name, path }: NamedPath, isListed: boolean): boolean {
    return isListed && this.#context.databases.get(name) === path;
  }

  #isThere({ name, path }: NamedPath): boolean {
    // What cannot be looked at is not gone.
    const known = this.#context.databases.get(name) === path || this.#context.store.database(name) !== null;
    try {
      const found = statSync(path, { throwIfNoEntry: false });
      if (found === undefined || !found.isFile()) return false;
      return known || this.#isDatabase(path, `${found.size} ${found.mtimeMs}`);
    } catch {
      return known;
    }
  }

  #isDatabase(path: string, looks: string): boolean {
    if (this.#rejected.get(path) === looks) return false;
    const isDatabase = isWholeDatabase(path);
    if (isDatabase) this.#rejected.delete(path);
    else this.#rejected.set(path, looks);
    return isDatabase;
  }

  #ignore(path: string, message: string): void {
    if (this.#ignored.has(path)) return;
    this.#ignored.add(path);
    this.#context.event("warn", "DATABASE_IGNORED", null, `a file is left out: ${message}`, { path });
  }
}
