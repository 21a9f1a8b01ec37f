/**
 * A state that is in no later epoch, kept in a directory of its own: the segments that only this member has, and those, with a
 * snapshot, from which a restore gets to where they begin (docs/FORMAT.md, "What diverged").
 *
 * Guarantee: a directory with a manifest holds all of that, durably; the files are the journal's own under a second name,
 * so that they take no room as long as the journal has them, and stay when it purges them. Nothing here removes any of it.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { z } from "zod";
import { fsyncDirectory, makeDirectory, writeFileDurably } from "../durable-files.ts";
import { errnoOf } from "../errno.ts";
import { Journal } from "../journal/journal.ts";
import { SegmentCatalogue, type SegmentRow } from "../journal/segment-catalogue.ts";
import { formatSegmentPath } from "../journal/segment-name.ts";
import { prepareSchema } from "../journal/state-schema.ts";
import {
  formatChecksum,
  formatPosition,
  formatTxid,
  type Position,
  parseChecksum,
  parsePosition,
  parseTxid,
} from "../ltx/position.ts";
import { DivergenceError } from "./divergence-error.ts";

/** Version 1: the first. */
const KEPT_VERSION = 1;
const MANIFEST_NAME = "kept.json";
const JOURNAL_NAME = "journal";

/** The file system cannot give a file a second name, or not this one. */
const NO_LINKS = new Set(["EXDEV", "EPERM", "EMLINK", "ENOTSUP"]);

export interface KeptState {
  readonly mirror: string;
  readonly member: string;
  readonly database: string;
  /** The state that is kept. */
  readonly lost: Position;
  /** Where its history and that of the later epoch part; null when they have nothing in common. */
  readonly fork: Position | null;
  /** Transactions after `fork`. */
  readonly transactions: number;
  /** The member that reigns in the later epoch, and the number of that. */
  readonly operational: string;
  readonly epoch: number;
  /** ISO 8601. */
  readonly keptAt: string;
  /** What restores `lost`, and everything after `fork`. */
  readonly files: readonly SegmentRow[];
}

const checksum = z.string().transform(orFail(parseChecksum));
const txid = z.string().transform(orFail(parseTxid));
const position = z.string().transform(orFail(parsePosition));

const manifestSchema = z.object({
  version: z.literal(KEPT_VERSION),
  mirror: z.string(),
  member: z.string(),
  database: z.string(),
  lost: position,
  fork: position.nullable(),
  transactions: z.int(),
  operational: z.string(),
  epoch: z.int(),
  keptAt: z.iso.datetime(),
  files: z.array(
    z.object({
      database: z.string(),
      epoch: z.int(),
      kind: z.enum(["segment", "snapshot"]),
      minTxid: txid,
      maxTxid: txid,
      preApplyChecksum: checksum,
      postApplyChecksum: checksum,
      bytes: z.int(),
      pages: z.int(),
      timestampMs: z.int(),
      addedAtMs: z.int(),
    }),
  ),
});

/** Below a database's part of `diverged/`: `<epoch>-<first transaction>-<last transaction>`. */
export function keptName({ lost, fork }: Pick<KeptState, "lost" | "fork">): string {
  const first = (fork?.txid ?? 0n) + 1n;
  return `${lost.epoch}-${first.toString(16).padStart(16, "0")}-${formatTxid(lost.txid)}`;
}

/** Keeps the files of a journal. Doing it again is harmless. */
export function keepState(journal: Pick<Journal, "path">, directory: string, state: KeptState): void {
  const directories = new Set<string>();
  for (const file of state.files) {
    const path = join(directory, JOURNAL_NAME, formatSegmentPath(file));
    makeDirectory(dirname(path));
    directories.add(dirname(path));
    giveSecondName(journal.path(file), path);
  }
  for (const each of directories) fsyncDirectory(each);
  writeFileDurably(join(directory, MANIFEST_NAME), `${JSON.stringify(manifestOf(state), null, 2)}\n`);
}

/** Whether it is, or claims to be, such a directory. */
export function isKeptState(directory: string): boolean {
  return existsSync(join(directory, MANIFEST_NAME));
}

/** @throws DivergenceError KEPT_UNREADABLE */
export function readKeptState(directory: string): KeptState {
  const path = join(directory, MANIFEST_NAME);
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new DivergenceError("KEPT_UNREADABLE", "this does not say what is kept here", {
      path,
      cause,
      hint: "Name a directory below `diverged` in a member's state. Its segments are readable without this file, by any LTX tool.",
    });
  }
}

/** A kept state as something to restore from. */
export class OpenKeptState implements Disposable {
  readonly state: KeptState;
  readonly catalogue: SegmentCatalogue;
  readonly journal: Journal;
  readonly #database: SqliteDatabase.Database;

  /** @throws DivergenceError KEPT_UNREADABLE */
  constructor(directory: string) {
    this.state = readKeptState(directory);
    this.#database = new SqliteDatabase(":memory:");
    this.#database.defaultSafeIntegers(true);
    prepareSchema(this.#database);
    this.catalogue = new SegmentCatalogue(this.#database);
    for (const file of this.state.files) this.catalogue.add(file);
    this.journal = new Journal(join(directory, JOURNAL_NAME), this.catalogue);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function giveSecondName(source: string, path: string): void {
  if (existsSync(path)) {
    if (isSameFile(source, path)) return;
    rmSync(path);
  }
  try {
    linkSync(source, path);
  } catch (error) {
    if (!NO_LINKS.has(errnoOf(error) ?? "")) throw error;
    copyFileSync(source, path, constants.COPYFILE_FICLONE);
    const fd = openSync(path, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

function isSameFile(a: string, b: string): boolean {
  const [one, other] = [statSync(a), statSync(b)];
  return one.dev === other.dev && one.ino === other.ino;
}

function manifestOf({ lost, fork, files, ...state }: KeptState): object {
  return {
    version: KEPT_VERSION,
    ...state,
    lost: formatPosition(lost),
    fork: fork === null ? null : formatPosition(fork),
    files: files.map((file) => ({
      ...file,
      minTxid: formatTxid(file.minTxid),
      maxTxid: formatTxid(file.maxTxid),
      preApplyChecksum: formatChecksum(file.preApplyChecksum),
      postApplyChecksum: formatChecksum(file.postApplyChecksum),
    })),
  };
}

function orFail<T>(parse: (text: string) => T | null): (text: string, context: z.core.$RefinementCtx<string>) => T {
  return (text, context) => {
    const value = parse(text);
    if (value !== null) return value;
    context.addIssue("not what it should be");
    return z.NEVER;
  };
}
