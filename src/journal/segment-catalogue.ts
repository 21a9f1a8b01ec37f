/**
 * The catalogue: one row for every segment and snapshot in the journal directory. A row is added after its file is
 * durable, in the transaction that also moves the position, so every row has its file; a file without a row is a stray
 * of a crash.
 */
import type { Database, Statement } from "better-sqlite3";
import { type Checksum, formatChecksum, type Txid } from "../ltx/position.ts";
import { formatSegmentPath, type SegmentKind, type SegmentRef } from "./segment-name.ts";
import { decodeChecksum, decodeTxid } from "./state-decode.ts";
import { StateError } from "./state-error.ts";

export interface SegmentRow extends SegmentRef {
  /** 0 for snapshots: "not known". */
  readonly preApplyChecksum: Checksum;
  readonly postApplyChecksum: Checksum;
  readonly bytes: number;
  readonly pages: number;
  /** When it was cut on the operational member, milliseconds since 1970. */
  readonly timestampMs: number;
  /** When this member catalogued it. */
  readonly addedAtMs: number;
}

export interface SegmentFilter {
  readonly epoch?: number;
  readonly kind?: SegmentKind;
  /** Only segments that hold this TXID or later ones. */
  readonly fromTxid?: Txid;
  /** Only segments that begin with this TXID or an earlier one. */
  readonly toTxid?: Txid;
  /** Only segments that the operational member cut at this time or later; milliseconds since 1970. */
  readonly sinceMs?: number;
  /** ... and at this time or earlier. */
  readonly untilMs?: number;
  readonly limit?: number;
  /** `oldest` first (the default) or `newest` first, by epoch and last TXID; a snapshot comes after the segment that ends with it. */
  readonly order?: "oldest" | "newest";
}

export interface SegmentLimit {
  readonly txid: Txid;
  /** When it was cut on the operational member. */
  readonly timeMs: number;
  /** When this member catalogued it; any time when not given. */
  readonly addedAtMs?: number;
}

export interface SegmentTotals {
  readonly segments: number;
  readonly snapshots: number;
  readonly bytes: number;
}

interface RawRow {
  database: string;
  epoch: bigint;
  kind: SegmentKind;
  min_txid: bigint;
  max_txid: bigint;
  pre_apply_checksum: string;
  post_apply_checksum: string;
  bytes: bigint;
  pages: bigint;
  timestamp_ms: bigint;
  added_at_ms: bigint;
}

interface RefParameters {
  database: string;
  epoch: number;
  kind: SegmentKind;
  minTxid: bigint;
  maxTxid: bigint;
}

interface ListParameters {
  database: string;
  epoch: number | null;
  fromTxid: bigint;
  toTxid: bigint | null;
  sinceMs: number | null;
  untilMs: number | null;
  limit: number;
}

const ONE = "database = @database AND epoch = @epoch AND max_txid = @maxTxid AND kind = @kind AND min_txid = @minTxid";

export class SegmentCatalogue {
  readonly #database: Database;
  readonly #insert: Statement;
  readonly #select: Statement<[RefParameters], RawRow>;
  readonly #delete: Statement<[RefParameters]>;
  readonly #after: Statement<[RefParameters & { limit: number }], RawRow>;
  readonly #endingAt: Statement<[string, bigint], RawRow>;
  readonly #epochs: Statement<[string], { epoch: bigint }>;
  readonly #lastUntil: Statement<[string, number, bigint, number, number], RawRow>;
  readonly #bytesAfter: Statement<[string, number, bigint], { bytes: bigint }>;
  readonly #totals: Statement<[string], { segments: bigint; snapshots: bigint; bytes: bigint }>;
  readonly #lists = new Map<string, Statement<[ListParameters], RawRow>>();

  constructor(database: Database) {
    this.#database = database;
    this.#insert = database.prepare(`
      INSERT INTO segments VALUES (
        @database, @epoch, @kind, @minTxid, @maxTxid, @preApplyChecksum, @postApplyChecksum,
        @bytes, @pages, @timestampMs, @addedAtMs
      )`);
    this.#select = database.prepare(`SELECT * FROM segments WHERE ${ONE}`);
    this.#delete = database.prepare(`DELETE FROM segments WHERE ${ONE}`);
    this.#after = database.prepare(`
      SELECT * FROM segments WHERE database = @database
        AND (epoch, max_txid, kind, min_txid) > (@epoch, @maxTxid, @kind, @minTxid)
      ORDER BY epoch, max_txid, kind, min_txid LIMIT @limit`);
    this.#endingAt = database.prepare("SELECT * FROM segments WHERE database = ? AND max_txid = ? ORDER BY epoch");
    this.#epochs = database.prepare("SELECT DISTINCT epoch FROM segments WHERE database = ? ORDER BY epoch DESC");
    this.#lastUntil = database.prepare(`
      SELECT * FROM segments WHERE database = ? AND epoch = ? AND max_txid <= ? AND timestamp_ms <= ? AND added_at_ms <= ?
      ORDER BY max_txid DESC, kind DESC, min_txid DESC LIMIT 1`);
    this.#bytesAfter = database.prepare(`
      SELECT ifnull(sum(bytes), 0) AS bytes FROM segments
      WHERE database = ? AND (epoch, max_txid) > (?, ?) AND kind = 'segment'`);
    this.#totals = database.prepare(`
      SELECT count(*) FILTER (WHERE kind = 'segment') AS segments, count(*) FILTER (WHERE kind = 'snapshot') AS snapshots,
        ifnull(sum(bytes), 0) AS bytes
      FROM segments WHERE database = ?`);
  }

  /**
   * Adds a row. One that is there already with the same checksums and size is left as it is.
   * @throws StateError STATE_SEGMENT_DIFFERS when it is there with others.
   */
  add(row: SegmentRow): void {
    const known = this.get(row);
    if (known === null) {
      this.#insert.run(encode(row));
    } else if (!sameContents(known, row)) {
      throw new StateError("STATE_SEGMENT_DIFFERS", `${formatSegmentPath(row)} is catalogued with other contents`, {
        hint: "Run `afterimage verify`: two members may have been operational in one epoch.",
      });
    }
  }

  get(ref: SegmentRef): SegmentRow | null {
    const { database, epoch, kind, minTxid, maxTxid } = ref;
    const row = this.#select.get({ database, epoch, kind, minTxid, maxTxid });
    return row === undefined ? null : decode(row);
  }

  /** Forgets a segment; returns false when it was not catalogued. Remove the file afterwards, not before. */
  remove(ref: SegmentRef): boolean {
    const { database, epoch, kind, minTxid, maxTxid } = ref;
    return this.#delete.run({ database, epoch, kind, minTxid, maxTxid }).changes > 0;
  }

  list(database: string, filter: SegmentFilter = {}): SegmentRow[] {
    const rows = this.#listStatement(filter).all({
      database,
      epoch: filter.epoch ?? null,
      fromTxid: filter.fromTxid ?? 0n,
      toTxid: filter.toTxid ?? null,
      sinceMs: filter.sinceMs ?? null,
      untilMs: filter.untilMs ?? null,
      limit: filter.limit ?? -1,
    });
    return rows.map(decode);
  }

  /** The next rows in the order of epoch and last TXID, for a walk over all of them; from the first when `after` is null. */
  listAfter(database: string, after: SegmentRef | null, limit: number): SegmentRow[] {
    const { epoch, kind, minTxid, maxTxid } = after ?? { epoch: 0, kind: "segment", minTxid: 0n, maxTxid: 0n };
    return this.#after.all({ database, epoch, kind, minTxid, maxTxid, limit }).map(decode);
  }

  /** All segments and snapshots, of any epoch, whose last TXID is `txid`. */
  endingAt(database: string, txid: Txid): SegmentRow[] {
    return this.#endingAt.all(database, txid).map(decode);
  }

  /** The last segment or snapshot after which the database has a checksum. Looks at all of them. */
  leadingTo(database: string, checksum: Checksum): SegmentRow | null {
    const select = this.#database.prepare<[string, string], RawRow>(`
      SELECT * FROM segments WHERE database = ? AND post_apply_checksum = ?
      ORDER BY epoch DESC, max_txid DESC, kind DESC LIMIT 1`);
    const row = select.get(database, formatChecksum(checksum));
    return row === undefined ? null : decode(row);
  }

  /** The segment or snapshot that reaches furthest: the highest TXID of the highest epoch. */
  last(database: string): SegmentRow | null {
    return this.list(database, { order: "newest", limit: 1 })[0] ?? null;
  }

  /** The newest snapshot of one epoch. */
  latestSnapshot(database: string, epoch: number): SegmentRow | null {
    return this.list(database, { epoch, kind: "snapshot", order: "newest", limit: 1 })[0] ?? null;
  }

  /** The epochs that have segments or snapshots, the newest first. */
  epochs(database: string): number[] {
    return this.#epochs.all(database).map(({ epoch }) => Number(epoch));
  }

  /** The last segment or snapshot of an epoch that ends at or before a TXID, and was cut, and catalogued, at or before a time. */
  lastUntil(database: string, epoch: number, until: SegmentLimit): SegmentRow | null {
    const { txid, timeMs, addedAtMs = Number.MAX_SAFE_INTEGER } = until;
    const row = this.#lastUntil.get(database, epoch, txid, timeMs, addedAtMs);
    return row === undefined ? null : decode(row);
  }

  /** Bytes of the segments that reach beyond a place. */
  bytesAfter(database: string, epoch: number, txid: Txid): number {
    return Number(this.#bytesAfter.get(database, epoch, txid)?.bytes ?? 0);
  }

  totals(database: string): SegmentTotals {
    const row = this.#totals.get(database);
    return {
      segments: Number(row?.segments ?? 0),
      snapshots: Number(row?.snapshots ?? 0),
      bytes: Number(row?.bytes ?? 0),
    };
  }

  /** One statement for each set of conditions, so that the primary key serves them all. */
  #listStatement(filter: SegmentFilter): Statement<[ListParameters], RawRow> {
    const direction = filter.order === "newest" ? "DESC" : "ASC";
    const conditions = ["database = @database", "max_txid >= @fromTxid"];
    if (filter.epoch !== undefined) conditions.push("epoch = @epoch");
    if (filter.toTxid !== undefined) conditions.push("min_txid <= @toTxid");
    if (filter.sinceMs !== undefined) conditions.push("timestamp_ms >= @sinceMs");
    if (filter.untilMs !== undefined) conditions.push("timestamp_ms <= @untilMs");
    // Not as a parameter: only with the very words does the index of the snapshots serve.
    if (filter.kind !== undefined) conditions.push(`kind = '${filter.kind}'`);
    const sql = `SELECT * FROM segments WHERE ${conditions.join(" AND ")}
      ORDER BY epoch ${direction}, max_txid ${direction}, kind ${direction}, min_txid ${direction} LIMIT @limit`;
    const known = this.#lists.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare<[ListParameters], RawRow>(sql);
    this.#lists.set(sql, statement);
    return statement;
  }
}

function sameContents(a: SegmentRow, b: SegmentRow): boolean {
  return (
    a.preApplyChecksum === b.preApplyChecksum &&
    a.postApplyChecksum === b.postApplyChecksum &&
    a.bytes === b.bytes &&
    a.pages === b.pages
  );
}

function encode(row: SegmentRow) {
  return {
    database: row.database,
    epoch: row.epoch,
    kind: row.kind,
    minTxid: row.minTxid,
    maxTxid: row.maxTxid,
    preApplyChecksum: formatChecksum(row.preApplyChecksum),
    postApplyChecksum: formatChecksum(row.postApplyChecksum),
    bytes: row.bytes,
    pages: row.pages,
    timestampMs: row.timestampMs,
    addedAtMs: row.addedAtMs,
  };
}

function decode(row: RawRow): SegmentRow {
  return {
    database: row.database,
    epoch: Number(row.epoch),
    kind: row.kind,
    minTxid: decodeTxid(row.min_txid),
    maxTxid: decodeTxid(row.max_txid),
    preApplyChecksum: decodeChecksum(row.pre_apply_checksum),
    postApplyChecksum: decodeChecksum(row.post_apply_checksum),
    bytes: Number(row.bytes),
    pages: Number(row.pages),
    timestampMs: Number(row.timestamp_ms),
    addedAtMs: Number(row.added_at_ms),
  };
}
