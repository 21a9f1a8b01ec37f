/** Events for operators: the newest ones, in the state database. Ids rise and are never used again. */
import type { Database, Statement } from "better-sqlite3";
import { decodeJson, encodeJson } from "./state-decode.ts";

/** A busy fault raises one event a second: this is some three hours of it, and a few MiB. */
const EVENTS_KEPT = 10_000;
const DEFAULT_LIMIT = 100;

/** The worst last. */
export const EVENT_LEVELS = ["info", "warn", "error"] as const;
export type EventLevel = (typeof EVENT_LEVELS)[number];

export interface NewEvent {
  readonly atMs: number;
  readonly level: EventLevel;
  /** Stable identifier, such as SEGMENT_CHECKSUM. */
  readonly code: string;
  /** Null when it is about the member as a whole. */
  readonly database: string | null;
  readonly message: string;
  /** Anything that JSON can hold. */
  readonly data?: unknown;
}

export interface StoredEvent extends NewEvent {
  readonly id: number;
  readonly data: unknown;
}

export interface EventFilter {
  /** 100 when not given. */
  readonly limit?: number;
  /** Only events after this one. */
  readonly sinceId?: number;
  /** Only this level, and what is worse. */
  readonly level?: EventLevel;
  /** Only this database's. */
  readonly database?: string;
  readonly code?: string;
}

interface RawEvent {
  id: bigint;
  at_ms: bigint;
  level: EventLevel;
  code: string;
  database: string | null;
  message: string;
  data: string | null;
}

interface SqlFilter {
  limit: number;
  sinceId: number;
  database: string | null;
  code: string | null;
  levels: string;
}

const CHOSEN =
  "instr(:levels, level) > 0 AND (:database IS NULL OR database = :database) AND (:code IS NULL OR code = :code)";

export class EventLog {
  readonly #insert: Statement;
  readonly #trim: Statement<[number]>;
  readonly #since: Statement<[SqlFilter], RawEvent>;
  readonly #newest: Statement<[SqlFilter], RawEvent>;

  constructor(database: Database) {
    this.#insert = database.prepare(
      "INSERT INTO events (at_ms, level, code, database, message, data) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#trim = database.prepare("DELETE FROM events WHERE id <= ?");
    this.#since = database.prepare(`SELECT * FROM events WHERE id > :sinceId AND ${CHOSEN} ORDER BY id LIMIT :limit`);
    this.#newest = database.prepare(`SELECT * FROM events WHERE ${CHOSEN} ORDER BY id DESC LIMIT :limit`);
  }

  /** Adds an event and returns its id. Call inside a transaction: the oldest ones are dropped with it. */
  add(event: NewEvent): number {
    const { atMs, level, code, database, message, data } = event;
    const id = Number(this.#insert.run(atMs, level, code, database, message, encodeJson(data)).lastInsertRowid);
    this.#trim.run(id - EVENTS_KEPT);
    return id;
  }

  /** Events, oldest first: the first `limit` after `sinceId`, or without it the newest `limit`. */
  list(filter: EventFilter = {}): StoredEvent[] {
    const { limit = DEFAULT_LIMIT, sinceId = 0, database = null, code = null, level = "info" } = filter;
    const chosen = { limit, sinceId, database, code, levels: EVENT_LEVELS.slice(EVENT_LEVELS.indexOf(level)).join() };
    const rows = filter.sinceId === undefined ? this.#newest.all(chosen).reverse() : this.#since.all(chosen);
    return rows.map(decode);
  }
}

function decode(row: RawEvent): StoredEvent {
  return {
    id: Number(row.id),
    atMs: Number(row.at_ms),
    level: row.level,
    code: row.code,
    database: row.database,
    message: row.message,
    data: decodeJson(row.data),
  };
}
