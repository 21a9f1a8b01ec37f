/**
 * The member's own memory, `state.db`: role, positions, the segment catalogue, page checksums, shipments, receipts, events.
 *
 * Guarantee: a committed transaction survives a power cut (WAL, synchronous=FULL), and one that was not committed leaves
 * nothing. One process writes at a time, the daemon or a command; others may read meanwhile (`openReadOnly`).
 * It says nothing of a file before that file is durable: that order is the caller's, see journal.ts.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { fsyncDirectory, makeDirectory } from "../durable-files.ts";
import { messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import type { Epoch, EpochHistory } from "../roles/epoch-history.ts";
import type { RoleState } from "../roles/role-state.ts";
import type { ChecksumChunkStore } from "../sqlite/page-checksum-table.ts";
import { AlertLedger } from "./alert-ledger.ts";
import { ChecksumChunks } from "./checksum-chunks.ts";
import { type DatabaseChange, type DatabaseRow, DatabaseRows } from "./database-rows.ts";

export type { DatabaseChange, DatabaseRow } from "./database-rows.ts";

import { type EventFilter, EventLog, type NewEvent, type StoredEvent } from "./event-log.ts";
import { HookLedger } from "./hook-ledger.ts";
import { IntegrationLedger } from "./integration-ledger.ts";
import { LeaseLedger } from "./lease-ledger.ts";
import { RejoinLedger } from "./rejoin-ledger.ts";
import { ResyncLedger } from "./resync-ledger.ts";
import { RoleLedger } from "./role-ledger.ts";
import { RunLedger } from "./run-ledger.ts";
import { SegmentCatalogue, type SegmentFilter, type SegmentRow, type SegmentTotals } from "./segment-catalogue.ts";
import type { SegmentRef } from "./segment-name.ts";
import { type Receipt, type Shipment, ShipmentLedger } from "./shipment-ledger.ts";
import { corrupt } from "./state-decode.ts";
import { StateError } from "./state-error.ts";
import { checkSchema, prepareSchema } from "./state-schema.ts";
import { type Verification, VerificationLedger } from "./verification-ledger.ts";

export interface Identity {
  readonly mirror: string;
  readonly member: string;
  /** Random, made with the state: tells a state apart from one that was made anew under the same names. */
  readonly stateId: string;
}

/** How long a write waits for another process's; nobody holds the state for longer than one transaction. */
const BUSY_TIMEOUT_MS = 10_000;
/** A first snapshot's checksums make the WAL large once; it is cut back afterwards. */
const WAL_BYTES_KEPT = 16 * 1024 * 1024;

export class StateStore implements Disposable {
  readonly path: string;
  readonly identity: Identity;
  readonly catalogue: SegmentCatalogue;
  readonly alerts: AlertLedger;
  readonly hooks: HookLedger;
  readonly integration: IntegrationLedger;
  readonly resyncs: ResyncLedger;
  readonly runs: RunLedger;
  readonly rejoins: RejoinLedger;
  readonly #database: Database;
  readonly #roles: RoleLedger;
  readonly #rows: DatabaseRows;
  readonly #chunks: ChecksumChunks;
  readonly #ledger: ShipmentLedger;
  readonly #leases: LeaseLedger;
  readonly #verifications: VerificationLedger;
  readonly #events: EventLog;

  private constructor(database: Database) {
    this.path = database.name;
    this.#database = database;
    this.identity = readIdentity(database);
    this.catalogue = new SegmentCatalogue(database);
    this.alerts = new AlertLedger(database);
    this.hooks = new HookLedger(database);
    this.integration = new IntegrationLedger(database);
    this.resyncs = new ResyncLedger(database);
    this.runs = new RunLedger(database);
    this.rejoins = new RejoinLedger(database);
    this.#roles = new RoleLedger(database);
    this.#rows = new DatabaseRows(database);
    this.#chunks = new ChecksumChunks(database);
    this.#ledger = new ShipmentLedger(database);
    this.#leases = new LeaseLedger(database);
    this.#verifications = new VerificationLedger(database);
    this.#events = new EventLog(database);
  }

  /**
   * Opens the state for writing and makes it when there is none.
   * @throws StateError STATE_FOREIGN, STATE_TOO_NEW, STATE_CORRUPT.
   */
  static open(path: string, names: { mirror: string; member: string }): StateStore {
    makeDirectory(dirname(path));
    return opened(path, {}, (database) => {
      // Looked at first: setting a pragma would change a file that is not ours.
      checkSchema(database);
      database.pragma("journal_mode = WAL");
      database.pragma("synchronous = FULL");
      database.pragma(`journal_size_limit = ${WAL_BYTES_KEPT}`);
      database.transaction(() => claim(database, names)).immediate();
      fsyncDirectory(dirname(path));
      return new StateStore(database);
    });
  }

  /**
   * Opens an existing state for reading, whoever it belongs to, also while another process writes it.
   * @throws StateError STATE_MISSING, and as {@link open}.
   */
  static openReadOnly(path: string): StateStore {
    if (!existsSync(path)) throw missing(path);
    return opened(path, { readonly: true }, (database) => {
      if (checkSchema(database) === "empty") throw missing(path);
      return new StateStore(database);
    });
  }

  /** Runs `change` in one transaction: all of it becomes durable before this returns, or, when it throws, nothing. May be nested. */
  transaction<T>(change: () => T): T {
    try {
      return this.#database.transaction(change).immediate();
    } catch (error) {
      this.#rows.forget();
      this.#verifications.forget();
      throw error;
    }
  }

  /** Null before the first start. */
  role(): RoleState | null {
    return this.#roles.state();
  }

  /**
   * @param begun the epoch that begins with this state, in the same step.
   * @throws StateError STATE_EPOCH_BACK: a member that has seen an epoch never returns to an older one.
   */
  saveRole(state: RoleState, begun?: Epoch): void {
    this.transaction(() => {
      if (begun !== undefined) this.#roles.addEpochs([begun]);
      this.#roles.save(state);
    });
  }

  /** The epochs that this member knows of. */
  history(): EpochHistory {
    return this.#roles.history();
  }

  /** Adds those that are not known yet; an epoch never changes. */
  addEpochs(epochs: Iterable<Epoch>): void {
    this.transaction(() => this.#roles.addEpochs(epochs));
  }

  /** Every database that something was ever saved of, sorted. */
  databaseNames(): string[] {
    return this.#rows.names();
  }

  /** What is known of a database; null when nothing was ever saved. */
  database(name: string): DatabaseRow | null {
    return this.#rows.get(name);
  }

  /** Changes the given fields of a database's row, which is made when there is none. */
  saveDatabase(name: string, change: DatabaseChange): void {
    this.#rows.save(name, change);
  }

  /** Forgets a database's row, page checksums, verification and what was ordered for its copy; its catalogue stays. */
  forgetDatabase(name: string): void {
    this.transaction(() => {
      this.#rows.delete(name);
      this.#chunks.of(name).deleteChunksFrom(0);
      this.#verifications.delete(name);
      this.resyncs.delete(name);
      this.rejoins.delete(name);
    });
  }

  chunkStore(database: string): ChecksumChunkStore {
    return this.#chunks.of(database);
  }

  /** Idempotent. @throws StateError STATE_SEGMENT_DIFFERS when it is catalogued with other contents. */
  addSegment(row: SegmentRow): void {
    this.catalogue.add(row);
  }

  segments(database: string, filter: SegmentFilter = {}): SegmentRow[] {
    return this.catalogue.list(database, filter);
  }

  /** Forgets a segment, before its file is removed; false when it was not catalogued. */
  removeSegment(ref: SegmentRef): boolean {
    return this.catalogue.remove(ref);
  }

  latestSnapshot(database: string, epoch: number): SegmentRow | null {
    return this.catalogue.latestSnapshot(database, epoch);
  }

  segmentTotals(database: string): SegmentTotals {
    return this.catalogue.totals(database);
  }

  /** What was put last into a follower's inbox; null when nothing was. */
  shipment(follower: string, database: string): Shipment | null {
    return this.#ledger.get(follower, database);
  }

  saveShipment(follower: string, database: string, shipment: Shipment): void {
    this.#ledger.save(follower, database, shipment);
  }

  /** The sessions under which this very state may have left its lease in a follower's mailbox. */
  leaseSessions(follower: string): string[] {
    return this.#leases.sessions(follower);
  }

  saveLeaseSessions(follower: string, sessions: readonly string[]): void {
    this.#leases.save(follower, sessions);
  }

  receipts(): Receipt[] {
    return this.#ledger.receipts();
  }

  saveReceipt(receipt: Receipt): void {
    this.#ledger.saveReceipt(receipt);
  }

  /** When a database was last verified; null when it never was. */
  verification(database: string): Verification | null {
    return this.#verifications.get(database);
  }

  forgetVerification(database: string): void {
    this.#verifications.delete(database);
  }

  saveVerification(database: string, verification: Verification): void {
    this.#verifications.save(database, verification);
  }

  /** Adds an event and returns its id; only the newest 10,000 are kept. */
  addEvent(event: NewEvent): number {
    return this.transaction(() => this.#events.add(event));
  }

  events(filter: EventFilter = {}): StoredEvent[] {
    return this.#events.list(filter);
  }

  close(): void {
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function opened<T>(path: string, options: { readonly?: boolean }, use: (database: Database) => T): T {
  let database: Database | null = null;
  try {
    database = new SqliteDatabase(path, { ...options, timeout: BUSY_TIMEOUT_MS });
    database.defaultSafeIntegers(true);
    return use(database);
  } catch (error) {
    database?.close();
    if (error instanceof AfterimageError) throw error;
    throw new StateError("STATE_CORRUPT", `cannot use the state database: ${messageOf(error)}`, {
      path,
      cause: error,
      hint: "Check the file system and its permissions; if the file is damaged, put it aside and rebuild this member.",
    });
  }
}

function claim(database: Database, names: { mirror: string; member: string }): void {
  prepareSchema(database);
  database.prepare("INSERT OR IGNORE INTO identity VALUES (1, ?, ?, ?)").run(names.mirror, names.member, randomUUID());
  const owner = readIdentity(database);
  if (owner.mirror === names.mirror && owner.member === names.member) return;
  throw new StateError(
    "STATE_FOREIGN",
    `the state belongs to member ${owner.member} of mirror set ${owner.mirror}, not to ${names.member} of ${names.mirror}`,
    {
      path: database.name,
      hint: "Check --node and the `mirror` and `state` keys: every member needs a state directory of its own.",
    },
  );
}

function readIdentity(database: Database): Identity {
  const row = database
    .prepare<[], Identity>("SELECT mirror, member, state_id AS stateId FROM identity WHERE one = 1")
    .get();
  if (row === undefined) throw corrupt("an identity", "nothing");
  return row;
}

function missing(path: string): StateError {
  return new StateError("STATE_MISSING", "this member has no state yet", {
    path,
    hint: "Run `afterimage run` (or `init`) once with this configuration, or check the member's `state` directory.",
  });
}
