/** A history of changes on disk, and the state that an integrating process keeps beside its mirror. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import Sqlite from "better-sqlite3";
import { formatChecksum, parseChecksum } from "../../src/ltx/position.ts";
import type { ChecksumChunkStore } from "../../src/sqlite/page-checksum-table.ts";
import type { Page, PageRun } from "../../src/sqlite/page-run.ts";
import { type MemoryRun, noise, PageHistory } from "../support/page-history.ts";

const ACCOUNTS = 300;
const BALANCE = 1000;

/** The rules that every state of the history satisfies, as a query each that gives 1. */
export const INVARIANTS = [
  `SELECT (SELECT sum(balance) FROM account) = ${ACCOUNTS * BALANCE} AND (SELECT count(*) FROM account) = ${ACCOUNTS}`,
  "SELECT (SELECT count(*) FROM entry) = entries AND (SELECT coalesce(sum(length(body)), 0) FROM entry) = bytes FROM total",
  "SELECT (SELECT count(*) FROM entry INDEXED BY entry_body WHERE body >= x'') = entries FROM total",
];

/** Grows with every change: a reader must never see it go back. */
export const REVISION = "SELECT revision FROM total";

/** Writes `changes` changes, and the snapshot that they follow as number 0, to `directory`; returns the hash of each state. */
export function writeHistory(directory: string, changes: number): string[] {
  mkdirSync(join(directory, "changes"), { recursive: true });
  const history = new PageHistory(join(directory, "model.db"));
  history.change((db) => {
    db.exec(`CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER);
      CREATE TABLE total (entries INTEGER, bytes INTEGER, revision INTEGER); INSERT INTO total VALUES (0, 0, 0)`);
    const insert = db.prepare(`INSERT INTO account VALUES (?, ${BALANCE})`);
    for (let id = 1; id <= ACCOUNTS; id++) insert.run(id);
  });
  const hashes = [store(directory, 0, history.snapshot(), history)];
  for (let number = 1; number <= changes; number++) {
    hashes.push(
      store(
        directory,
        number,
        history.change((db) => makeChange(db, number)),
        history,
      ),
    );
  }
  history.database.close();
  return hashes;
}

export function readChange(directory: string, number: number): MemoryRun {
  const { pageSize, pageCount, pages, checksum } = deserialize(
    readFileSync(changePath(directory, number)),
  ) as StoredChange;
  const found = parseChecksum(checksum);
  if (found === null) throw new Error(`change ${number} has no checksum`);
  return { pageSize, pageCount, pages: () => pages, checksum: found };
}

/** Several changes as one, the newest page wins. */
export function mergeChanges(runs: readonly MemoryRun[]): MemoryRun {
  const last = runs.at(-1);
  if (last === undefined) throw new Error("nothing to merge");
  const newest = new Map<number, Page>();
  for (const run of runs) for (const page of run.pages()) newest.set(page.pgno, page);
  const pages = [...newest.values()].filter(({ pgno }) => pgno <= last.pageCount).sort((a, b) => a.pgno - b.pgno);
  return { ...last, pages: () => pages };
}

/** The hash of the database as SQLite itself reads it now, by the canonical form of page 1. */
export function hashDatabase(database: Sqlite.Database): string {
  return hashImage(database.serialize());
}

export interface PendingIntent {
  readonly to: number;
  readonly pageCount: number;
  readonly checksum: string;
}

/** What an owner of a mirror keeps: survives kill -9, changes in transactions. */
export class MirrorRecordStore implements ChecksumChunkStore {
  readonly #db: Sqlite.Database;

  constructor(directory: string) {
    this.#db = new Sqlite(join(directory, "state.db"));
    this.#db.pragma("journal_mode = WAL");
    this.#db.pragma("synchronous = off");
    this.#db.exec(`CREATE TABLE IF NOT EXISTS item (name TEXT PRIMARY KEY, json TEXT);
      CREATE TABLE IF NOT EXISTS chunk (number INTEGER PRIMARY KEY, bytes BLOB)`);
  }

  get<Value>(name: string, fallback: Value): Value {
    const row = this.#db.prepare<[string], { json: string }>("SELECT json FROM item WHERE name = ?").get(name);
    return row === undefined ? fallback : (JSON.parse(row.json) as Value);
  }

  set(name: string, value: unknown): void {
    this.#db.prepare("INSERT OR REPLACE INTO item VALUES (?, ?)").run(name, JSON.stringify(value));
  }

  transaction(work: () => void): void {
    this.#db.transaction(work)();
  }

  readChunk(chunk: number): Uint8Array | null {
    return (
      this.#db.prepare<[number], { bytes: Buffer }>("SELECT bytes FROM chunk WHERE number = ?").get(chunk)?.bytes ??
      null
    );
  }

  writeChunk(chunk: number, bytes: Uint8Array): void {
    this.#db.prepare("INSERT OR REPLACE INTO chunk VALUES (?, ?)").run(chunk, Buffer.from(bytes));
  }

  deleteChunksFrom(from: number): void {
    this.#db.prepare("DELETE FROM chunk WHERE number >= ?").run(from);
  }

  close(): void {
    this.#db.close();
  }
}

interface StoredChange extends Omit<PageRun, "pages"> {
  readonly pages: Page[];
  readonly checksum: string;
}

function store(directory: string, number: number, run: MemoryRun, history: PageHistory): string {
  const change: StoredChange = {
    pageSize: run.pageSize,
    pageCount: run.pageCount,
    pages: [...run.pages()],
    checksum: formatChecksum(run.checksum),
  };
  writeFileSync(changePath(directory, number), serialize(change));
  return hashDatabase(history.database);
}

function changePath(directory: string, number: number): string {
  return join(directory, "changes", String(number));
}

function makeChange(db: Sqlite.Database, number: number): void {
  const random = noise(number, 64);
  db.transaction(() => {
    const amount = random[0] ?? 0;
    const move = db.prepare("UPDATE account SET balance = balance + ? WHERE id = ?");
    move.run(-amount, 1 + (random[1] ?? 0));
    move.run(amount, 1 + (random[2] ?? 0));
    const insert = db.prepare("INSERT INTO entry (body) VALUES (?)");
    const inserts = number % 40 === 0 ? 300 : 1 + ((random[3] ?? 0) % 5);
    for (let i = 0; i < inserts; i++) insert.run(noise(number * 1000 + i, (random[4 + (i % 8)] ?? 0) * 10));
    db.exec(
      "DELETE FROM entry WHERE id IN (SELECT id FROM entry ORDER BY id LIMIT (SELECT max(0, count(*) - 500) FROM entry))",
    );
    if (number % 70 === 35) db.exec(`CREATE TABLE extra_${number} (a, b)`);
    db.exec(`UPDATE total SET revision = revision + 1, entries = (SELECT count(*) FROM entry),
      bytes = (SELECT coalesce(sum(length(body)), 0) FROM entry)`);
  })();
  if (number % 90 === 89) db.exec("VACUUM");
}

function hashImage(image: Buffer): string {
  image[18] = 2;
  return createHash("sha1").update(image).digest("hex");
}
