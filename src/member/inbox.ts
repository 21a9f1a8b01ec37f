/**
 * The inbox of one database on a mirror: segments that arrived are verified and moved into the journal, in order.
 *
 * Guarantee: nothing enters the journal that is not the next segment of this database's history with every checksum
 * right, and the received position moves only after the file is durable in its place. A duplicate is dropped, a file
 * that came too early waits, a bad file is moved to `quarantine/` with the reason and is asked for again.
 */
import { type Dirent, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { parseSegmentName, type SegmentRef } from "../journal/segment-name.ts";
import { isSnapshot } from "../ltx/header.ts";
import type { Position, Txid } from "../ltx/position.ts";
import { type SegmentSummary, verifySegmentInSlices } from "../ltx/verify-segment.ts";
import { type Arrival, checkArrival, checkDuplicate, type JournalEnd, type SegmentCheck } from "./arrival-check.ts";
import { EmptiableDirectory } from "./emptiable-directory.ts";
import { assertFree } from "./free-space.ts";
import { ownInbox, parseDifferenceName } from "./inbox-directory.ts";
import { arrivalEpoch, endOfEpoch, isBeyond } from "./journal-epochs.ts";
import { assertNoLinks, linkIn } from "./mailbox-links.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";
import { Quarantine } from "./quarantine.ts";
import { StaleParts } from "./stale-parts.ts";

/** Something must be missing this long before it is asked for: files may arrive out of order, and large ones take time. */
const PATIENCE_MS = 3_000;

/** Segments whose files and rows are made durable together: a burst costs a few fsyncs instead of a few for each. */
const GROUP_SEGMENTS = 64;

/** A file that may enter the journal, and what the catalogue will say of it; the journal ends with it then. */
interface Verified extends JournalEnd {
  readonly position: Position;
  readonly sourcePath: string;
  readonly ref: SegmentRef;
  readonly contents: Omit<SegmentRow, keyof SegmentRef | "addedAtMs">;
}

export class Inbox {
  readonly quarantine: Quarantine;
  /** ID of the request whose answer may come here; null when there is none. */
  awaitedDifference: string | null = null;
  readonly #context: MemberContext;
  readonly #database: string;
  readonly #checkFirst: SegmentCheck;
  /** Of the epoch that the next segment is of. */
  #directory: string;
  #entries: EmptiableDirectory;
  #parts: StaleParts;
  /** Since when this mirror knows of something that it has not received, without any progress. */
  #missingSinceMs: number | null = null;
  #taking = false;
  #taken = 0;

  /** @param checkFirst reads the file that the journal shall begin with, to check it. */
  constructor(context: MemberContext, database: string, checkFirst: SegmentCheck = verifySegmentInSlices) {
    this.#context = context;
    this.#database = database;
    this.#checkFirst = checkFirst;
    this.quarantine = new Quarantine(context, database);
    this.#directory = ownInbox(context, database);
    // What is wrong with a link is said when it is looked into.
    if (linkIn(context.self.directory, this.#directory) === null) mkdirSync(this.#directory, { recursive: true });
    this.#entries = new EmptiableDirectory(this.#directory, context.nowMs);
    this.#parts = new StaleParts(context, this.#directory);
  }

  /** Goes on where the next segment arrives now; false when that is where it was. */
  #moveOn(): boolean {
    const directory = ownInbox(this.#context, this.#database);
    if (directory === this.#directory) return false;
    assertNoLinks(this.#context.self.directory, directory);
    mkdirSync(directory, { recursive: true });
    this.#directory = directory;
    this.#entries = new EmptiableDirectory(directory, this.#context.nowMs);
    this.#parts = new StaleParts(this.#context, directory);
    return true;
  }

  /** Changes when the journal comes to another epoch. */
  get directory(): string {
    return this.#directory;
  }

  /** Segments taken in since the start. */
  get taken(): number {
    return this.#taken;
  }

  /** Whether something that arrived is being looked at. */
  get isTaking(): boolean {
    return this.#taking;
  }

  /** The first transaction that is missing and should be sent (again); null when nothing is. */
  wants(): Txid | null {
    // What is here already may be just what is missing; a large file takes its time.
    if (this.#taking) return null;
    const received = this.#received();
    if (received === null) return 1n as Txid;
    const waitedMs = this.#missingSinceMs === null ? 0 : this.#context.nowMs() - this.#missingSinceMs;
    return waitedMs >= PATIENCE_MS ? ((received.txid + 1n) as Txid) : null;
  }

  /**
   * Takes in everything that is due, in order. Returns how many segments were taken.
   * @param upstreamEnd the last transaction in the upstream's journal, as far as it is known.
   * @throws MemberError MAILBOX_LINK, and what the system throws.
   */
  async scan(upstreamEnd: Txid | null): Promise<number> {
    try {
      this.#moveOn();
      let { taken, waiting } = await this.#takeDue(upstreamEnd);
      while (this.#moveOn()) {
        const next = await this.#takeDue(upstreamEnd);
        taken += next.taken;
        waiting = next.waiting;
      }
      this.#taken += taken;
      const missing = waiting || (upstreamEnd ?? 0n) > (this.#received()?.txid ?? 0n);
      if (!missing) this.#missingSinceMs = null;
      else if (taken > 0) this.#missingSinceMs = this.#context.nowMs();
      else this.#missingSinceMs ??= this.#context.nowMs();
      return taken;
    } finally {
      this.#taking = false;
    }
  }

  /** Takes every segment that is due; `waiting` says that others came too early. */
  async #takeDue(upstreamEnd: Txid | null): Promise<{ taken: number; waiting: boolean }> {
    let taken = 0;
    let waiting = false;
    let end = this.#end();
    let group: Verified[] = [];
    const arrivals = await this.#arrivals();
    const lastTxid = this.#lastTxid(end.position);
    // Where there is no room, the upstream cannot deliver either.
    if (arrivals.length > 0 || (upstreamEnd ?? 0n) > (end.position?.txid ?? 0n)) this.#assertRoom();
    for (const arrival of arrivals) {
      if (end.position !== null && arrival.maxTxid <= end.position.txid) {
        await this.#drop(arrival, end);
      } else if (lastTxid !== null && arrival.maxTxid > lastTxid) {
        // In no later epoch: it stays where it is.
      } else if (isDue(arrival, end.position)) {
        this.#taking = true;
        const verified = await this.#verify(arrival, end);
        if (verified === null) continue;
        group.push(verified);
        end = verified;
        taken++;
        if (group.length >= GROUP_SEGMENTS) group = await this.#take(group);
      } else {
        waiting = true;
      }
    }
    await this.#take(group);
    return { taken, waiting };
  }

  /** Beyond which nothing of the epoch is taken any more; null for no limit. */
  #lastTxid(received: Position | null): Txid | null {
    if (received === null) return null;
    return isBeyond(this.#context, this.#database, received)
      ? received.txid
      : endOfEpoch(this.#context, this.#database, received);
  }

  /** As whom a file that arrives here is to be meant for. */
  #recipient(): Pick<MemberContext, "configuration" | "epoch" | "store"> {
    const { configuration, store } = this.#context;
    return { configuration, store, epoch: arrivalEpoch(this.#context, this.#database) };
  }

  /** The state must be able to record what is taken in, and quarantine to keep what is refused. */
  #assertRoom(): void {
    const { journal, configuration } = this.#context;
    assertFree(journal.directory, configuration.journal, { bytes: 0, what: "the journal" });
  }

  #received(): Position | null {
    return this.#end().position;
  }

  #end(): JournalEnd {
    const row = this.#context.store.database(this.#database);
    return { position: row?.received ?? null, pageSize: row?.pageSize ?? null };
  }

  /** What lies there. A directory that somebody has removed is as good as empty: who ships makes it anew. */
  async #look(): Promise<Dirent[]> {
    assertNoLinks(this.#context.self.directory, this.#directory);
    try {
      return await this.#entries.entries();
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return [];
      throw error;
    }
  }

  /** Files with final names, oldest first; a name that is no segment's goes to quarantine. What is no file stays where it is. */
  async #arrivals(): Promise<Arrival[]> {
    const found: Arrival[] = [];
    const entries = await this.#look();
    this.#parts.clean(entries, this.#received());
    for (const entry of entries) {
      const { name } = entry;
      if (name.startsWith(".") || !entry.isFile()) continue;
      const path = join(this.#directory, name);
      if (this.#isDifference(name, path)) continue;
      const range = parseSegmentName(name);
      if (range !== null) found.push({ name, path, ...range });
      else await this.#refuse(path, name, new MemberError("SEGMENT_NAME", `${name} is not a segment's name`));
    }
    return found.sort((a, b) => Number(a.minTxid - b.minTxid) || Number(a.maxTxid - b.maxTxid));
  }

  /** The awaited one is for who awaits it; another answers a request that a restart has ended. */
  #isDifference(name: string, path: string): boolean {
    const difference = parseDifferenceName(name);
    if (difference !== null && difference.id !== this.awaitedDifference) {
      this.#context.logger.info({ path }, "the answer to an earlier request was removed");
      rmSync(path);
    }
    return difference !== null;
  }

  async #drop(arrival: Arrival, end: JournalEnd): Promise<void> {
    try {
      checkDuplicate(this.#recipient(), this.#database, arrival, end);
    } catch (error) {
      if (!(error instanceof AfterimageError)) throw error;
      await this.#refuse(arrival.path, arrival.name, error);
      return;
    }
    rmSync(arrival.path);
  }

  /** Everything but its place in the journal: null, and the file in quarantine, when it must not get one. */
  async #verify(arrival: Arrival, end: JournalEnd): Promise<Verified | null> {
    try {
      const recipient = this.#recipient();
      const check = end.position === null ? this.#checkFirst : verifySegmentInSlices;
      const summary = await checkArrival(recipient, this.#database, arrival, end, check);
      return this.#verified(arrival, recipient.epoch, summary);
    } catch (error) {
      // What the system could not do says nothing about the file: it is tried again.
      if (!(error instanceof AfterimageError)) throw error;
      await this.#refuse(arrival.path, arrival.name, error);
      return null;
    }
  }

  #verified(arrival: Arrival, epoch: number, { header, postApplyChecksum, bytes, pages }: SegmentSummary): Verified {
    const { minTxid, maxTxid, preApplyChecksum, pageSize, timestampMs } = header;
    const kind = isSnapshot(header) ? "snapshot" : "segment";
    return {
      sourcePath: arrival.path,
      ref: { database: this.#database, epoch, kind, minTxid, maxTxid },
      contents: { preApplyChecksum, postApplyChecksum, bytes, pages, timestampMs },
      position: { epoch, txid: maxTxid, checksum: postApplyChecksum },
      pageSize,
    };
  }

  /** Moves a group of contiguous segments into the journal, and the received position to its end. Returns an empty group. */
  async #take(group: readonly Verified[]): Promise<Verified[]> {
    const last = group.at(-1);
    if (last === undefined) return [];
    const { store, journal } = this.#context;
    await journal.adoptAll(group);
    const addedAtMs = this.#context.nowMs();
    store.transaction(() => {
      for (const { ref, contents } of group) store.addSegment({ ...ref, ...contents, addedAtMs });
      store.saveDatabase(this.#database, {
        received: this.#context.history.forward(this.#database, last.position),
        receivedAtMs: addedAtMs,
        receivedTimeMs: last.contents.timestampMs,
        pageSize: last.pageSize,
      });
    });
    const bytes = group.reduce((sum, { contents }) => sum + contents.bytes, 0);
    this.#context.space.grew(bytes);
    this.#context.tally.addFiles("received", this.#database, bytes, group.length);
    this.#context.journalGrew(this.#database);
    return [];
  }

  async #refuse(path: string, name: string, error: AfterimageError): Promise<void> {
    await this.quarantine.put(path, name, error);
    this.#missingSinceMs ??= this.#context.nowMs();
  }
}

/** A snapshot is always due; a segment when it begins at, or before, the first transaction that is missing. */
function isDue(arrival: Arrival, received: Position | null): boolean {
  return arrival.minTxid === 1n || (received !== null && arrival.minTxid <= received.txid + 1n);
}
