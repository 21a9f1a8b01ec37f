/**
 * The inbox of one database on a mirror: segments that arrived are verified and moved into the journal, in order.
 *
 * Guarantee: nothing enters the journal that is not the next segment of this database's history with every checksum
 * right, and the received position moves only after the file is durable in its place. A duplicate is dropped, a file
 * that came too early waits, a bad file is moved to `quarantine/` with the reason and is asked for again.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileSource } from "../journal/file-source.ts";
import { parseSegmentName } from "../journal/segment-name.ts";
import { isSnapshot } from "../ltx/header.ts";
import { formatChecksum, formatTxid, type Position, type Txid } from "../ltx/position.ts";
import { type SegmentSummary, verifySegmentInSlices } from "../ltx/verify-segment.ts";
import { errorView } from "./error-view.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";
import { inboxDirectory } from "./shipper.ts";

/** Something must be missing this long before it is asked for: files may arrive out of order, and large ones take time. */
const PATIENCE_MS = 3_000;

interface Arrival {
  readonly name: string;
  readonly path: string;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
}

export class Inbox {
  readonly #context: MemberContext;
  readonly #database: string;
  readonly #directory: string;
  /** Since when this mirror knows of something that it has not received, without any progress. */
  #missingSinceMs: number | null = null;

  constructor(context: MemberContext, database: string) {
    this.#context = context;
    this.#database = database;
    this.#directory = join(context.self.directory, inboxDirectory(database, context.epoch));
    mkdirSync(this.#directory, { recursive: true });
  }

  get directory(): string {
    return this.#directory;
  }

  /** The first transaction that is missing and should be sent (again); null when nothing is. */
  wants(): Txid | null {
    const received = this.#received();
    if (received === null) return 1n as Txid;
    const waitedMs = this.#missingSinceMs === null ? 0 : this.#context.nowMs() - this.#missingSinceMs;
    return waitedMs >= PATIENCE_MS ? ((received.txid + 1n) as Txid) : null;
  }

  /**
   * Takes in everything that is due, in order. Returns how many segments were taken.
   * @param upstreamEnd the last transaction in the upstream's journal, as far as it is known.
   */
  async scan(upstreamEnd: Txid | null): Promise<number> {
    let taken = 0;
    let waiting = false;
    for (const arrival of this.#arrivals()) {
      const received = this.#received();
      if (received !== null && arrival.maxTxid <= received.txid) rmSync(arrival.path);
      else if (!isDue(arrival, received)) waiting = true;
      else if (await this.#take(arrival, received)) taken++;
    }
    const missing = waiting || (upstreamEnd ?? 0n) > (this.#received()?.txid ?? 0n);
    if (!missing) this.#missingSinceMs = null;
    else if (taken > 0) this.#missingSinceMs = this.#context.nowMs();
    else this.#missingSinceMs ??= this.#context.nowMs();
    return taken;
  }

  #received(): Position | null {
    return this.#context.store.database(this.#database)?.received ?? null;
  }

  /** Files with final names, oldest first; a name that is no segment's goes to quarantine. */
  #arrivals(): Arrival[] {
    const found: Arrival[] = [];
    for (const name of readdirSync(this.#directory)) {
      if (name.startsWith(".")) continue;
      const path = join(this.#directory, name);
      const range = parseSegmentName(name);
      if (range === null)
        this.#quarantine(path, name, new MemberError("SEGMENT_NAME", `${name} is not a segment's name`));
      else found.push({ name, path, ...range });
    }
    return found.sort((a, b) => Number(a.minTxid - b.minTxid) || Number(a.maxTxid - b.maxTxid));
  }

  async #take(arrival: Arrival, received: Position | null): Promise<boolean> {
    const { store, journal, epoch } = this.#context;
    let summary: SegmentSummary;
    try {
      summary = await verify(arrival);
      this.#check(arrival, summary, received);
    } catch (error) {
      this.#quarantine(arrival.path, arrival.name, error);
      return false;
    }
    const { header, postApplyChecksum, bytes, pages } = summary;
    const row = {
      database: this.#database,
      epoch,
      kind: isSnapshot(header) ? ("snapshot" as const) : ("segment" as const),
      minTxid: header.minTxid,
      maxTxid: header.maxTxid,
      preApplyChecksum: header.preApplyChecksum,
      postApplyChecksum,
      bytes,
      pages,
      pageSize: header.pageSize,
      pageCount: header.commit,
      timestampMs: header.timestampMs,
      addedAtMs: this.#context.nowMs(),
    };
    await journal.adopt(arrival.path, row);
    store.transaction(() => {
      store.addSegment(row);
      store.saveDatabase(this.#database, {
        received: { epoch, txid: header.maxTxid, checksum: postApplyChecksum },
        receivedTimeMs: header.timestampMs,
        pageSize: header.pageSize,
      });
    });
    this.#context.journalGrew(this.#database);
    return true;
  }

  /** The chain: a segment must begin where the journal ends, with the checksum that the journal ends with. */
  #check(arrival: Arrival, { header }: SegmentSummary, received: Position | null): void {
    if (header.minTxid !== arrival.minTxid || header.maxTxid !== arrival.maxTxid) {
      throw new MemberError(
        "SEGMENT_NAME",
        `${arrival.name} holds ${formatTxid(header.minTxid)}-${formatTxid(header.maxTxid)}`,
      );
    }
    const madeInEpoch = Number(header.nodeId >> 32n);
    if (madeInEpoch !== 0 && madeInEpoch !== this.#context.epoch) {
      throw new MemberError("SEGMENT_EPOCH", `${arrival.name} is of epoch ${madeInEpoch}, not ${this.#context.epoch}`);
    }
    const pageSize = this.#context.store.database(this.#database)?.pageSize ?? null;
    if (pageSize !== null && pageSize !== header.pageSize) {
      throw new MemberError(
        "SEGMENT_PAGE_SIZE",
        `${arrival.name} has pages of ${header.pageSize} bytes, the mirror ${pageSize}`,
      );
    }
    if (isSnapshot(header) || received === null) return;
    if (header.minTxid !== received.txid + 1n) {
      throw new MemberError(
        "SEGMENT_OVERLAP",
        `${arrival.name} overlaps what was received up to ${formatTxid(received.txid)}`,
      );
    }
    if (header.preApplyChecksum !== 0n && header.preApplyChecksum !== received.checksum) {
      throw new MemberError(
        "SEGMENT_CHAIN",
        `${arrival.name} continues a database with checksum ${formatChecksum(header.preApplyChecksum)}, ` +
          `this mirror's journal ends with ${formatChecksum(received.checksum)}`,
      );
    }
  }

  #quarantine(path: string, name: string, error: unknown): void {
    const nowMs = this.#context.nowMs();
    const directory = join(this.#context.self.state, "quarantine", this.#database);
    mkdirSync(directory, { recursive: true });
    const target = join(directory, `${nowMs}-${name}`);
    if (existsSync(path)) renameSync(path, target);
    const view = errorView(error, nowMs);
    writeFileSync(`${target}.reason.json`, `${JSON.stringify({ name, database: this.#database, ...view }, null, 2)}\n`);
    this.#missingSinceMs ??= nowMs;
    this.#context.event("error", view.code, this.#database, `${name} is in quarantine: ${view.message}`, {
      path: target,
    });
    this.#context.changed();
  }
}

/** A snapshot is always due; a segment when it begins at, or before, the first transaction that is missing. */
function isDue(arrival: Arrival, received: Position | null): boolean {
  return arrival.minTxid === 1n || (received !== null && arrival.minTxid <= received.txid + 1n);
}

async function verify(arrival: Arrival): Promise<SegmentSummary> {
  using source = new FileSource(arrival.path);
  return await verifySegmentInSlices(source);
}
