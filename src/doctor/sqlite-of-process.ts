/**
 * Which SQLite another process uses, from /proc (proc_pid_maps(5), proc_pid_fd(5)): the libraries that it has mapped are searched
 * for SQLite's version. Nothing is asked of the process, and nothing of the database is opened.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { basename } from "node:path";

const CHUNK_BYTES = 1 << 20;
/** More than a version and its NULs, so that none is lost between two chunks. */
const OVERLAP_BYTES = 128;
/** SQLITE_SOURCE_ID: date, time, and a hash of 40 digits (before 3.18) or 64. Nothing but SQLite has it. */
const SOURCE_ID = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{40}/;
/** From 3.7 on: none before can open a database in WAL mode. */
const VERSION = /\0(3\.(?:[7-9]|\d\d)\.\d{1,2}(?:\.\d{1,2})?)\0/g;

export interface ProcessUsing {
  readonly pid: number;
  /** Its command. */
  readonly name: string;
  /** SQLite's versions that it can be using; empty when they are not known. */
  readonly versions: readonly string[];
}

export interface ProcessesUsing {
  readonly found: readonly ProcessUsing[];
  /** Processes of other users, into which this one may not look. */
  readonly hidden: number;
}

/** The processes that have a file open, under whatever path they see it, without this one. */
export function processesUsing(path: string): ProcessesUsing {
  const found: ProcessUsing[] = [];
  const { dev, ino } = statSync(path);
  let hidden = 0;
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const files = openFiles(pid);
    if (files === null) hidden++;
    else if (files.some((file) => isSame(file, { dev, ino })))
      found.push({ pid, name: nameOf(pid), versions: versionsOf(pid) });
  }
  return { found, hidden };
}

/** Null when this user may not know. */
function openFiles(pid: number): string[] | null {
  const directory = `/proc/${pid}/fd`;
  const descriptors = attempt(() => readdirSync(directory));
  if (descriptors === null) return isGone(pid) ? [] : null;
  return descriptors.map((each) => `${directory}/${each}`);
}

function isSame(descriptor: string, { dev, ino }: { readonly dev: number; readonly ino: number }): boolean {
  const file = attempt(() => statSync(descriptor));
  return file?.dev === dev && file.ino === ino;
}

function isGone(pid: number): boolean {
  return attempt(() => readdirSync(`/proc/${pid}`)) === null;
}

function nameOf(pid: number): string {
  return attempt(() => readFileSync(`/proc/${pid}/comm`, "utf8").trim()) ?? "unknown";
}

/** A library whose name says that it is SQLite comes first; else the program itself and everything that it has mapped may be it. */
function versionsOf(pid: number): string[] {
  const maps = attempt(() => readFileSync(`/proc/${pid}/maps`, "utf8")) ?? "";
  const mapped = maps.split("\n").flatMap((line) => /^\S+ ..x\S* \S+ \S+ \d+ +(\/.+)$/.exec(line)?.[1] ?? []);
  const files = [...new Set(mapped)].sort((a, b) => rank(a) - rank(b));
  for (const likely of [files.filter((file) => rank(file) === 0), files.filter((file) => rank(file) === 1)]) {
    // As the process sees it, which may be in a container.
    const versions = likely.flatMap((file) => attempt(() => sqliteVersionsIn(`/proc/${pid}/root${file}`)) ?? []);
    if (versions.length > 0) return [...new Set(versions)];
  }
  return [];
}

function rank(file: string): number {
  return /sqlite/i.test(basename(file)) ? 0 : 1;
}

/** SQLite's versions in a library or program, as far as its text tells; empty when no SQLite is in it. */
export function sqliteVersionsIn(file: string): string[] {
  const descriptor = openSync(file, "r");
  try {
    const versions = new Set<string>();
    const buffer = Buffer.alloc(OVERLAP_BYTES + CHUNK_BYTES);
    let isSqlite = false;
    for (let kept = 0; ; ) {
      const bytes = readSync(descriptor, buffer, kept, CHUNK_BYTES, null);
      if (bytes === 0) return isSqlite ? [...versions] : [];
      const text = buffer.toString("latin1", 0, kept + bytes);
      isSqlite ||= SOURCE_ID.test(text);
      for (const [, version] of text.matchAll(VERSION)) if (version !== undefined) versions.add(version);
      const end = kept + bytes;
      kept = Math.min(OVERLAP_BYTES, end);
      buffer.copy(buffer, 0, end - kept, end);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Processes end while they are looked at, and others may not be looked at. */
function attempt<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
