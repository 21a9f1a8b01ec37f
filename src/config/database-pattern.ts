/**
 * Databases that are named by a pattern: `tenant-*: /srv/tenants/*.db`. The key and the path have one `*` each; what the
 * path's stands for is what the key's stands for in the database's name. It is at least one character, no slash, and no
 * dot at the beginning of a file's or directory's name.
 */
import { dirname, sep } from "node:path";

export interface DatabasePattern {
  /** The key: a database's name with a `*`. */
  readonly name: string;
  /** A database's path with a `*`, in one of its components. */
  readonly path: string;
}

export interface NamedPath {
  readonly name: string;
  readonly path: string;
}

/** The databases of a member's configuration: those that are named, and patterns for others. */
export interface DatabaseSet {
  readonly databases: ReadonlyMap<string, string>;
  readonly databasePatterns: readonly DatabasePattern[];
}

/** Files that SQLite keeps beside a database. */
const SIDE_FILE = /-(wal|shm|journal)$/;

/** What is wrong with a pattern; null when nothing is. Both sides of a database without a pattern have no `*`. */
export function patternFault({ name, path }: NamedPath): string | null {
  const [inName, inPath] = [starsOf(name), starsOf(path)];
  if (inName <= 1 && inName === inPath) return null;
  return inName === 0
    ? "a path with * needs a name with *, such as tenant-*"
    : "a pattern has one * in the name and one in the path, such as tenant-*: /srv/tenants/*.db";
}

export function isPattern(name: string): boolean {
  return name.includes("*");
}

/** The directory whose entries a pattern's `*` may stand for. */
export function patternDirectory({ path }: DatabasePattern): string {
  return dirname(path.slice(0, path.indexOf("*") + 1));
}

/** The database that an entry of the pattern's directory leads to; null when the pattern does not match. Its name may be none. */
export function databaseAt(pattern: DatabasePattern, entry: string): NamedPath | null {
  return databasesAt(pattern)(entry);
}

/** {@link databaseAt} for thousands of entries. */
export function databasesAt(pattern: DatabasePattern): (entry: string) => NamedPath | null {
  const directory = patternDirectory(pattern);
  const prefix = directory === sep ? sep : directory + sep;
  const [component = "", ...rest] = pattern.path.slice(prefix.length).split(sep);
  const below = rest.map((part) => sep + part).join("");
  const [inEntry, inName] = [halves(component), halves(pattern.name)];
  return (entry) => {
    const middle = betweenHalves(inEntry, entry);
    const path = prefix + entry + below;
    if (middle === null || !isPlain(entry, path)) return null;
    return { name: inName.before + middle + inName.after, path };
  };
}

/** Where a database of this name lies; null when it is none of the pattern's. */
export function pathOf(pattern: DatabasePattern, name: string): string | null {
  const middle = between(pattern.name, name);
  if (middle === null) return null;
  const path = pattern.path.replace("*", () => middle);
  const directory = patternDirectory(pattern);
  const [entry = ""] = path.slice(directory === sep ? 1 : directory.length + 1).split(sep);
  return isPlain(entry, path) ? path : null;
}

/** Where a member has a database, if its configuration holds it; the first pattern that matches says so. */
export function configuredPath({ databases, databasePatterns }: DatabaseSet, name: string): string | null {
  const exact = databases.get(name);
  if (exact !== undefined) return exact;
  for (const pattern of databasePatterns) {
    const path = pathOf(pattern, name);
    if (path !== null) return path;
  }
  return null;
}

/** Whether every name of the pattern `inner` is one of `outer`. */
export function coversNames(outer: string, inner: string): boolean {
  const [a, b] = [halves(outer), halves(inner)];
  return b.before.startsWith(a.before) && b.after.endsWith(a.after);
}

/** Whether two paths, each with or without a `*`, may be the same file. */
export function pathsMeet(a: string, b: string): boolean {
  const [left, right] = [a.split(sep), b.split(sep)];
  return left.length === right.length && left.every((component, index) => textsMeet(component, right[index] ?? ""));
}

/** Whether two texts, each with or without a `*`, may be the same. */
export function textsMeet(a: string, b: string): boolean {
  if (!a.includes("*")) return b.includes("*") ? between(b, a) !== null : a === b;
  if (!b.includes("*")) return between(a, b) !== null;
  const [left, right] = [halves(a), halves(b)];
  const begins = left.before.startsWith(right.before) || right.before.startsWith(left.before);
  return begins && (left.after.endsWith(right.after) || right.after.endsWith(left.after));
}

/** What the `*` of `pattern` stands for in `text`; null when `text` does not match. */
function between(pattern: string, text: string): string | null {
  return betweenHalves(halves(pattern), text);
}

function betweenHalves({ before, after }: Halves, text: string): string | null {
  const isMatch = text.length > before.length + after.length && text.startsWith(before) && text.endsWith(after);
  return isMatch ? text.slice(before.length, text.length - after.length) : null;
}

interface Halves {
  readonly before: string;
  readonly after: string;
}

function halves(pattern: string): Halves {
  const star = pattern.indexOf("*");
  return { before: pattern.slice(0, star), after: pattern.slice(star + 1) };
}

function isPlain(entry: string, path: string): boolean {
  return !entry.startsWith(".") && !SIDE_FILE.test(path);
}

function starsOf(text: string): number {
  return text.split("*").length - 1;
}
