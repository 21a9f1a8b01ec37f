/**
 * The tables of `state.db`, and the check that a file is one that this program may use.
 *
 * `application_id` says that the file is Afterimage's; `user_version` is {@link STATE_VERSION}. Checksums are 16
 * hexadecimal digits, positions `epoch:txid:checksum`, times milliseconds since 1970.
 */
import type { Database } from "better-sqlite3";
import { StateError } from "./state-error.ts";

/**
 * Version of the tables.
 * 1: the first.
 */
export const STATE_VERSION = 1;

/** "AFIM" in ASCII. */
const APPLICATION_ID = 0x4146494d;

const TABLES = `
  CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    mirror TEXT NOT NULL,
    member TEXT NOT NULL,
    state_id TEXT NOT NULL
  ) STRICT;

  CREATE TABLE role (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    role TEXT NOT NULL CHECK (role IN ('operational', 'mirror')),
    epoch INTEGER NOT NULL CHECK (epoch >= 1)
  ) STRICT;

  CREATE TABLE databases (
    name TEXT PRIMARY KEY,
    received TEXT,
    integrated TEXT,
    received_at_ms INTEGER,
    integrated_at_ms INTEGER,
    received_time_ms INTEGER,
    integrated_time_ms INTEGER,
    page_size INTEGER,
    page_count INTEGER,
    wal_position TEXT,
    mirror_mark TEXT,
    intent TEXT,
    closed_signature TEXT,
    paused INTEGER NOT NULL DEFAULT 0, -- always 0: see integration_orders
    error TEXT
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE segments (
    database TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('segment', 'snapshot')),
    min_txid INTEGER NOT NULL,
    max_txid INTEGER NOT NULL,
    pre_apply_checksum TEXT NOT NULL,
    post_apply_checksum TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    pages INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    added_at_ms INTEGER NOT NULL,
    PRIMARY KEY (database, epoch, max_txid, kind, min_txid)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE page_checksums (
    database TEXT NOT NULL,
    chunk INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (database, chunk)
  ) STRICT;

  CREATE TABLE shipments (
    follower TEXT NOT NULL,
    database TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    txid INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (follower, database)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE receipts (
    member TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    seen_at_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('info', 'warn', 'error')),
    code TEXT NOT NULL,
    database TEXT,
    message TEXT NOT NULL,
    data TEXT
  ) STRICT;
`;

/**
 * What older states lack; none of it changes what an older release reads. Snapshots are few among many segments, and
 * are looked for often.
 */
const ADDITIONS = `
  CREATE INDEX IF NOT EXISTS snapshots ON segments (database, epoch, max_txid) WHERE kind = 'snapshot';

  CREATE TABLE IF NOT EXISTS role_state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    state TEXT NOT NULL
  ) STRICT;

  CREATE TABLE IF NOT EXISTS epochs (
    epoch INTEGER PRIMARY KEY,
    document TEXT NOT NULL
  ) STRICT;

  CREATE TABLE IF NOT EXISTS leases (
    follower TEXT PRIMARY KEY,
    sessions TEXT NOT NULL,
    inode INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE IF NOT EXISTS runs (
    start INTEGER PRIMARY KEY,
    session TEXT NOT NULL UNIQUE,
    beats INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE IF NOT EXISTS sightings (
    member TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    start INTEGER NOT NULL,
    session TEXT NOT NULL,
    beat INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE IF NOT EXISTS hook_runs (
    event TEXT NOT NULL,
    role TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    done_at_ms INTEGER NOT NULL,
    PRIMARY KEY (event, role, epoch)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE IF NOT EXISTS alerts (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE IF NOT EXISTS alert_queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    notice TEXT NOT NULL,
    document TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (channel, notice)
  ) STRICT;

  CREATE TABLE IF NOT EXISTS verifications (
    database TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    position TEXT NOT NULL,
    ok INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE IF NOT EXISTS integration_orders (
    database TEXT PRIMARY KEY,
    paused INTEGER NOT NULL,
    until TEXT
  ) STRICT;

  CREATE TABLE IF NOT EXISTS integration_window (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    schedule TEXT NOT NULL,
    last_ms INTEGER,
    next_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE IF NOT EXISTS resyncs (
    database TEXT PRIMARY KEY,
    method TEXT NOT NULL CHECK (method IN ('resync', 'snapshot')),
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE IF NOT EXISTS rejoins (
    database TEXT PRIMARY KEY,
    directory TEXT NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT;
`;

/**
 * Makes the tables in an empty file. Call inside a transaction.
 * @throws StateError STATE_TOO_NEW, STATE_FOREIGN.
 */
export function prepareSchema(database: Database): void {
  if (checkSchema(database) === "empty") {
    database.exec(TABLES);
    database.pragma(`application_id = ${APPLICATION_ID}`);
    database.pragma(`user_version = ${STATE_VERSION}`);
  }
  database.exec(ADDITIONS);
}

/** Whether the file holds the tables or nothing yet. Throws as {@link prepareSchema} does. */
export function checkSchema(database: Database): "ready" | "empty" {
  const version = pragmaNumber(database, "user_version");
  const applicationId = pragmaNumber(database, "application_id");
  if (applicationId === 0 && version === 0 && pragmaNumber(database, "schema_version") === 0) return "empty";
  if (applicationId !== APPLICATION_ID) {
    throw new StateError("STATE_FOREIGN", "this SQLite database is not the state of an Afterimage member", {
      path: database.name,
      hint: "Point the member's `state` at a directory of its own.",
    });
  }
  if (version > STATE_VERSION) {
    throw new StateError("STATE_TOO_NEW", `the state has version ${version}; this program knows ${STATE_VERSION}`, {
      path: database.name,
      hint: "Run the Afterimage release that last ran on this member, or a newer one.",
    });
  }
  return "ready";
}

function pragmaNumber(database: Database, name: "user_version" | "application_id" | "schema_version"): number {
  return Number(database.pragma(name, { simple: true }));
}
