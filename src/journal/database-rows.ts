/** What a member knows of each of its databases: one row each in the state database. */
import type { Database, Statement } from "better-sqlite3";
import { z } from "zod";
import { formatPosition, type Position } from "../ltx/position.ts";
import type { WalPosition } from "../sqlite/wal-format.ts";
import { corrupt, decodeJson, decodePosition, encodeJson, numberOrNull } from "./state-decode.ts";

export interface StoredError {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  /** ISO 8601. */
  readonly since: string;
}

/** Times in milliseconds since 1970, by this member's clock, or (`...TimeMs`) by the operational member's in the segment. */
export interface DatabaseRow {
  readonly name: string;
  /** The end of the journal that this member holds; null before the first segment. */
  readonly received: Position | null;
  /** What the database file holds; on the operational member the same as `received`. */
  readonly integrated: Position | null;
  readonly receivedAtMs: number | null;
  readonly integratedAtMs: number | null;
  readonly receivedTimeMs: number | null;
  readonly integratedTimeMs: number | null;
  /** Bytes. */
  readonly pageSize: number | null;
  /** Size of the database in pages, at `integrated`. */
  readonly pageCount: number | null;
  /** How far the operational member's WAL is in the journal. */
  readonly walPosition: WalPosition | null;
  /** JSON of MirrorDatabase: what it left in the WAL. Its owner checks its shape. */
  readonly mirrorMark: unknown;
  /** JSON: the change that was begun and not recorded yet. Its owner checks its shape. */
  readonly intent: unknown;
  /** JSON: what the closed database file looked like. Its owner checks its shape. */
  readonly closedSignature: unknown;
  readonly error: StoredError | null;
}

/** Fields to change; the others keep their values. */
export type DatabaseChange = Partial<Omit<DatabaseRow, "name">>;

interface RawRow {
  name: string;
  received: string | null;
  integrated: string | null;
  received_at_ms: bigint | null;
  integrated_at_ms: bigint | null;
  received_time_ms: bigint | null;
  integrated_time_ms: bigint | null;
  page_size: bigint | null;
  page_count: bigint | null;
  wal_position: string | null;
  mirror_mark: string | null;
  intent: string | null;
  closed_signature: string | null;
  error: string | null;
}

const uint32 = z.int().min(0).max(0xffff_ffff);
const walPositionSchema = z.object({
  salt1: uint32,
  salt2: uint32,
  frame: uint32,
  checksum1: uint32,
  checksum2: uint32,
});
const errorSchema = z.object({ code: z.string(), message: z.string(), hint: z.string().nullable(), since: z.string() });

const EMPTY_ROW: Omit<DatabaseRow, "name"> = {
  received: null,
  integrated: null,
  receivedAtMs: null,
  integratedAtMs: null,
  receivedTimeMs: null,
  integratedTimeMs: null,
  pageSize: null,
  pageCount: null,
  walPosition: null,
  mirrorMark: null,
  intent: null,
  closedSignature: null,
  error: null,
};

export class DatabaseRows {
  readonly #database: Database;
  readonly #select: Statement<[string], RawRow>;
  readonly #names: Statement<[], string>;
  /** Rows as they were read; null when other processes may write. A daemon asks for each of hundreds several times a second. */
  readonly #known: Map<string, DatabaseRow | null> | null;
  readonly #write: Statement;
  readonly #delete: Statement;

  constructor(database: Database) {
    this.#database = database;
    this.#known = database.readonly ? null : new Map();
    this.#select = database.prepare("SELECT * FROM databases WHERE name = ?");
    this.#names = database.prepare<[], string>("SELECT name FROM databases ORDER BY name").pluck();
    this.#write = database.prepare(`
      INSERT OR REPLACE INTO databases VALUES (
        @name, @received, @integrated, @receivedAtMs, @integratedAtMs, @receivedTimeMs, @integratedTimeMs,
        @pageSize, @pageCount, @walPosition, @mirrorMark, @intent, @closedSignature, 0, @error
      )`);
    this.#delete = database.prepare("DELETE FROM databases WHERE name = ?");
  }

  names(): string[] {
    return this.#names.all();
  }

  get(name: string): DatabaseRow | null {
    const known = this.#known?.get(name);
    if (known !== undefined) return known;
    const raw = this.#select.get(name);
    const row = raw === undefined ? null : decode(raw);
    this.#known?.set(name, row);
    return row;
  }

  /** What was saved since has been rolled back: rows are read anew. */
  forget(): void {
    this.#known?.clear();
  }

  save(name: string, change: DatabaseChange): void {
    const readAndWrite = () => {
      this.#write.run(encode({ ...EMPTY_ROW, ...this.get(name), ...change, name }));
    };
    this.#database.transaction(readAndWrite).immediate();
    this.#known?.delete(name);
  }

  delete(name: string): void {
    this.#delete.run(name);
    this.#known?.delete(name);
  }
}

function encode(row: DatabaseRow) {
  return {
    ...row,
    received: row.received === null ? null : formatPosition(row.received),
    integrated: row.integrated === null ? null : formatPosition(row.integrated),
    walPosition: encodeJson(row.walPosition),
    mirrorMark: encodeJson(row.mirrorMark),
    intent: encodeJson(row.intent),
    closedSignature: encodeJson(row.closedSignature),
    error: encodeJson(row.error),
  };
}

function decode(row: RawRow): DatabaseRow {
  return {
    name: row.name,
    received: decodePosition(row.received),
    integrated: decodePosition(row.integrated),
    receivedAtMs: numberOrNull(row.received_at_ms),
    integratedAtMs: numberOrNull(row.integrated_at_ms),
    receivedTimeMs: numberOrNull(row.received_time_ms),
    integratedTimeMs: numberOrNull(row.integrated_time_ms),
    pageSize: numberOrNull(row.page_size),
    pageCount: numberOrNull(row.page_count),
    walPosition: checked(walPositionSchema, row.wal_position, "a WAL position"),
    mirrorMark: decodeJson(row.mirror_mark),
    intent: decodeJson(row.intent),
    closedSignature: decodeJson(row.closed_signature),
    error: checked(errorSchema, row.error, "an error"),
  };
}

function checked<T>(schema: z.ZodType<T>, text: string | null, expected: string): T | null {
  if (text === null) return null;
  const parsed = schema.safeParse(decodeJson(text));
  if (!parsed.success) throw corrupt(expected, text);
  return parsed.data;
}
