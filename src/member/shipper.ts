/**
 * Ships this member's journal to one follower: every database from the follower's own position, oldest segment first.
 *
 * Guarantee: at least once. What was shipped is remembered, but the follower's receipt decides: when it asks for
 * something again, shipping starts over from there. A follower that is away delays nobody else, because every follower has a shipper of its own.
 * Nothing is put into a mailbox that somebody else writes; see mailbox-lease.ts.
 */
import { setTimeout as delay } from "node:timers/promises";
import { configuredPath } from "../config/database-pattern.ts";
import { removeFile } from "../durable-files.ts";
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import type { StateStore } from "../journal/state-store.ts";
import { formatTxid, NO_TXID, type Txid } from "../ltx/position.ts";
import type { FollowerStatus, VerifiedMember } from "../status/member-status.ts";
import { VerificationAnswers } from "./deep-verification.ts";
import { dueSegments, inboxName, type ShippedFile } from "./due-segments.ts";
import { errorView } from "./error-view.ts";
import { followerLease } from "./follower-lease.ts";
import { FollowerReceipts } from "./follower-receipts.ts";
import { followerViews } from "./follower-views.ts";
import { contiguousBatch } from "./integration-batch.ts";
import type { MailboxLease } from "./mailbox-lease.ts";
import type { MemberContext } from "./member-context.ts";
import type { ShippedMember } from "./member-control.ts";
import { emptyOutbox, mergeForShipment } from "./merged-shipment.ts";
import type { Peer } from "./peer.ts";
import type { ComparedDatabase } from "./resync-answer.ts";
import { ResyncAnswers } from "./resync-answers.ts";
import { outcomeError, ShipmentOrders } from "./shipment-orders.ts";
import { ShipmentProgress } from "./shipment-progress.ts";
import { ShipmentsUnderWay } from "./shipments-under-way.ts";
import { Signal } from "./signal.ts";

const BACKOFF_MAX_MS = 30_000;
/** How much of what was shipped a crash may forget; what is shipped again is harmless. */
const REMEMBER_INTERVAL_MS = 5_000;
/** A receipt that takes longer is not waited for. */
const READING_LIMIT_MS = 1_000;
/** A daemon that stops does not wait longer than this for a mailbox that does not answer. */
const RELEASE_LIMIT_MS = 2_000;
/** So many segments that wait for a follower are merged: one file costs it a few fsyncs, whatever it holds. */
const MERGED_FROM = 16;

/** What a follower may ask of this member. */
export interface FollowerServices {
  /** The duty of a database; undefined for one that is served no longer. */
  database(name: string): ComparedDatabase | undefined;
  /** Verifies a database here and above. */
  verify(name: string, stop: AbortSignal): Promise<readonly VerifiedMember[]>;
}

export class Shipper {
  readonly #context: MemberContext;
  readonly #peer: Peer;
  /** Databases that are served no longer, and of which everything was shipped. */
  readonly #settled = new Set<string>();
  readonly #progress = new Map<string, ShipmentProgress>();
  readonly #work = new Signal();
  readonly #orders: ShipmentOrders;
  /** Ends the wait after a failure. */
  #backoff: Signal | null = null;
  readonly #lease: MailboxLease;
  #error: FollowerStatus["error"] = null;
  readonly #underWay = new ShipmentsUnderWay(() => this.#work.set());
  #rememberedAtMs = Number.NEGATIVE_INFINITY;
  readonly #outbox: string;
  readonly #answers: ResyncAnswers;
  readonly #verifications: VerificationAnswers;
  readonly #receipts: FollowerReceipts;

  constructor(context: MemberContext, peer: Peer, services: FollowerServices) {
    this.#context = context;
    this.#peer = peer;
    this.#outbox = emptyOutbox(context, peer.member.name);
    this.#answers = new ResyncAnswers(context, {
      follower: peer.member.name,
      outbox: this.#outbox,
      database: services.database,
      transport: () => peer.transport(),
      put: async (path, file, stop) => {
        this.#underWay.begin(file, () => this.#putAs(file.name, path, file.bytes, stop));
        await this.#underWay.drained();
      },
    });
    this.#verifications = new VerificationAnswers(services.verify);
    this.#receipts = new FollowerReceipts(context, peer, {
      databases: () => this.#databases,
      progressOf: (database) => this.#progressOf(database),
      verifications: this.#verifications,
    });
    const { ship } = context.configuration.journal;
    this.#orders = new ShipmentOrders(() => this.#ends(), ship.kind === "continuous" ? null : this.#shipped());
    this.#lease = followerLease(context, peer);
  }

  /**
   * Those that both members hold by the configuration, and that have a journal here. One that is served no longer is
   * shipped to its end, and for as long as the follower lists it.
   */
  get #databases(): readonly string[] {
    const { databases } = this.#context;
    const listed = this.#peer.status?.databases ?? {};
    return this.#context.journals().filter((name) => {
      if (configuredPath(this.#peer.member, name) === null) return false;
      if (databases.has(name)) this.#settled.delete(name);
      return !this.#settled.has(name) || Object.hasOwn(listed, name);
    });
  }

  get #store(): StateStore {
    return this.#context.store;
  }

  /** There may be something new to ship. */
  wake(): void {
    this.#work.set();
  }

  get follower(): string {
    return this.#peer.member.name;
  }

  /** Whether something may be shipped, and nothing is known that keeps it from being shipped. */
  get isDue(): boolean {
    if (this.#error !== null) return false;
    const shipped = this.#shipped();
    return [...this.#ends()].some(([name, end]) => (shipped.get(name) ?? NO_TXID) < (this.#orders.limit(name) ?? end));
  }

  /** Another text whenever something was shipped. */
  get progress(): string {
    return [...this.#shipped()].join();
  }

  /** The size of what is being put. */
  get bytesUnderWay(): number {
    return this.#underWay.bytes;
  }

  /** The ends of the journals. */
  #ends(): Map<string, Txid> {
    return new Map(this.#databases.map((name) => [name, this.#store.database(name)?.received?.txid ?? NO_TXID]));
  }

  #shipped(): Map<string, Txid> {
    return new Map(this.#databases.map((name) => [name, this.#progressOf(name).shipped]));
  }

  /**
   * Ships everything that the journal holds now, whatever the schedule says and however long the last failure asks to wait;
   * resolves once it is done or has failed. What has failed is tried again by itself. Only while {@link run} runs.
   */
  async ship(): Promise<ShippedMember> {
    const ordered = this.#orders.order();
    this.#work.set();
    this.#backoff?.set();
    const outcome = await ordered;
    const ends = this.#ends();
    const databases = [...this.#shipped()].map(([database, shipped]) => ({
      database,
      shipped: formatTxid(shipped),
      end: formatTxid(ends.get(database) ?? NO_TXID),
    }));
    return { member: this.#peer.member.name, databases, error: outcomeError(outcome, this.#context.nowMs()) };
  }

  /** Ships until `stop` is aborted; errors are reported in {@link view} and answered by waiting longer, 30 s at most. */
  async run(stop: AbortSignal): Promise<void> {
    let failures = 0;
    let idle = false;
    this.#orders.open();
    while (!stop.aborted) {
      this.#orders.passBegins();
      try {
        const more = await this.#round(stop, { idle });
        // Who waits for an order waits for what is under way, too.
        if (this.#orders.isAwaited) await this.#underWay.drained();
        const { isEmpty } = this.#underWay;
        if (isEmpty || this.#underWay.isProven) {
          failures = 0;
          this.#report(null);
        }
        if (stop.aborted || (more && isEmpty)) continue;
        if (isEmpty) this.#orders.passEnded({ kind: "done" });
        idle = !(await this.#work.wait(this.#receipts.intervalMs, stop)) && isEmpty;
      } catch (error) {
        if (stop.aborted) break;
        this.#report(error);
        this.#orders.passEnded({ kind: "failed", error });
        await this.#abandon();
        this.#backoff = new Signal();
        await this.#backoff.wait(Math.min(BACKOFF_MAX_MS, 500 * 2 ** failures++), stop);
        this.#backoff = null;
      }
    }
    await this.#underWay.forget();
    this.#orders.close();
    this.#remember();
    await Promise.race([this.#lease.release(), delay(RELEASE_LIMIT_MS, undefined, { ref: false })]).catch(
      () => undefined,
    );
    await this.#peer.disconnect().catch(() => undefined);
  }

  /** Saves what was shipped, so that a restart does not ship it all again. */
  #remember(): void {
    const { epoch, nowMs } = this.#context;
    this.#rememberedAtMs = nowMs();
    this.#store.transaction(() => {
      for (const [database, progress] of this.#progress) {
        if (progress.saved === progress.shipped) continue;
        this.#store.saveShipment(this.#peer.member.name, database, { epoch, txid: progress.shipped, atMs: nowMs() });
        progress.saved = progress.shipped;
      }
    });
  }

  /** Gives the connection up with all that is under way; shipping goes on where the next receipt says. */
  async #abandon(): Promise<void> {
    await this.#peer.disconnect().catch(() => undefined);
    await this.#receipts.forget();
    await this.#lease.settled();
    await this.#underWay.forget();
    for (const progress of this.#progress.values()) progress.beginAgain();
  }

  /**
   * One pass over all databases. True when something was left for the next pass.
   * @param idle nothing is known that is to be shipped.
   */
  async #round(stop: AbortSignal, { idle }: { idle: boolean }): Promise<boolean> {
    await this.#lookAtReceipt(stop, { idle });
    this.#underWay.assertSound();
    if (this.#context.nowMs() - this.#rememberedAtMs >= REMEMBER_INTERVAL_MS) this.#remember();
    if (!this.#lease.isFresh) await this.#lease.hold();
    else if (!idle) this.#lease.renewEarly();
    let more = false;
    for (const database of this.#databases) {
      if (stop.aborted) return false;
      more = (await this.#shipDatabase(database, stop)) || more;
    }
    return more;
  }

  /** Reads the receipt when it is due; the first one before anything is shipped, the others beside it. */
  async #lookAtReceipt(stop: AbortSignal, { idle }: { idle: boolean }): Promise<void> {
    const { isKnown } = this.#receipts;
    const reading = this.#receipts.read(stop);
    if (reading === null) return;
    if (!isKnown) return await reading;
    this.#underWay.watch(reading);
    // Ended by whichever comes first, the receipt or something to ship: each costs a pass over all databases.
    if (idle) await this.#work.wait(READING_LIMIT_MS, stop);
  }

  #progressOf(database: string): ShipmentProgress {
    const known = this.#progress.get(database);
    if (known !== undefined) return known;
    const last = this.#store.shipment(this.#peer.member.name, database);
    const { history } = this.#context;
    const shipped = last === null || history.current === null ? last?.txid : history.clamp(database, last);
    const fresh = new ShipmentProgress(shipped ?? NO_TXID);
    this.#progress.set(database, fresh);
    return fresh;
  }

  async #shipDatabase(database: string, stop: AbortSignal): Promise<boolean> {
    const progress = this.#progressOf(database);
    const end = this.#store.database(database)?.received?.txid ?? NO_TXID;
    if (!this.#context.databases.has(database) && progress.shipped >= end) {
      // The follower may have let go of it: shipped again after a crash, it would have it back.
      if (!this.#settled.has(database)) this.#remember();
      this.#settled.add(database);
      return false;
    }
    const limit = this.#orders.limit(database);
    const isHeld = limit !== null && progress.begun >= limit;
    const due = dueSegments(this.#context, database, progress.begun).filter(
      ({ minTxid }) => !isHeld && (limit === null || minTxid <= limit),
    );
    const [first] = due;
    const goesOn = first?.kind === "segment";
    if (goesOn) progress.goesOn();
    else if (await this.#answersInstead(database, first === undefined ? null : progress, stop)) return false;
    if (first === undefined) return false;
    // What follows a snapshot is for the next pass, which may merge it.
    const rows = first.kind === "snapshot" ? [first] : due;
    if (rows.length >= MERGED_FROM && (await this.#shipMerged(rows, progress, stop))) return true;
    for (const row of rows) {
      if (stop.aborted || !this.#underWay.hasRoomFor(row.bytes)) return true;
      this.#begin(row, progress, () => this.#put(this.#context.journal.path(row), row, stop));
    }
    return rows.length < due.length;
  }

  #begin(file: ShippedFile, progress: ShipmentProgress, put: () => Promise<void>): void {
    const isPut = progress.begin(file.maxTxid);
    this.#underWay.begin(file, put, () => {
      isPut();
      this.#context.changed();
    });
    this.#context.changed();
  }

  /**
   * Where no segment is due: whether the follower gets, or is to ask for, the pages in which its copy differs, so that no
   * snapshot is sent. What it has received by that, its receipt says.
   * @param progress of a follower that is cut off from what it needs next; null when it needs nothing.
   */
  async #answersInstead(database: string, progress: ShipmentProgress | null, stop: AbortSignal): Promise<boolean> {
    const { nowMs } = this.#context;
    const { alive } = this.#peer;
    const status = this.#peer.status?.databases[database];
    const request = status?.resync ?? null;
    if (request !== null && alive) await this.#answers.answer(database, request, stop);
    // One that an operator has to look after first does not ask by itself.
    const mayAsk = status?.integrated != null && status.error === null;
    if (progress === null || !mayAsk) progress?.goesOn();
    // While it is away nothing is urgent.
    return request !== null || (mayAsk && progress !== null && (!alive || !progress.hasWaitedForRequest(nowMs())));
  }

  /**
   * Ships one file for as many segments as can be merged.
   * @returns whether the rest is for the next pass; false where merging saves nothing, so that each goes by itself.
   */
  async #shipMerged(rows: readonly SegmentRow[], progress: ShipmentProgress, stop: AbortSignal): Promise<boolean> {
    const database = rows[0]?.database ?? "";
    const { begun } = progress;
    const batch = contiguousBatch(rows, this.#store.database(database)?.pageSize ?? 0);
    if (batch === null || batch.rows.length < MERGED_FROM || begun < progress.unmergedThrough) return false;
    const bytes = batch.rows.reduce((sum, row) => sum + row.bytes, 0);
    if (!this.#underWay.hasRoomFor(bytes)) return true;
    const merged = await mergeForShipment(this.#context, this.#outbox, batch);
    // The follower may have asked for something earlier meanwhile.
    const isStale = progress.begun !== begun;
    if (isStale || merged.bytes >= bytes) {
      removeFile(merged.path);
      if (!isStale) progress.unmergedThrough = batch.last.maxTxid;
      return isStale;
    }
    this.#begin(merged, progress, async () => {
      try {
        await this.#put(merged.path, merged, stop);
        const facts = { follower: this.follower, database, segments: batch.rows.length, bytes, sent: merged.bytes };
        this.#context.logger.info(facts, "merged segments shipped");
      } finally {
        removeFile(merged.path);
      }
    });
    return true;
  }

  async #put(path: string, file: ShippedFile, stop: AbortSignal): Promise<void> {
    await this.#putAs(inboxName(file), path, file.bytes, stop);
  }

  async #putAs(name: string, path: string, bytes: number, stop: AbortSignal): Promise<void> {
    await this.#lease.during(stop, async (signal) => {
      await this.#peer.transport().put(path, name, { signal });
    });
    this.#context.tally.addFiles("shipped", this.follower, bytes);
  }

  #report(error: unknown): void {
    const view = error === null ? null : errorView(error, this.#context.nowMs());
    if (view?.code === this.#error?.code) return;
    const follower = this.#peer.member.name;
    if (view === null) this.#context.event("info", "FOLLOWER_REACHED", null, `shipping to ${follower} goes on`);
    else this.#context.event("error", view.code, null, `cannot ship to ${follower}: ${view.message}`);
    this.#error = view;
    this.#context.changed();
  }

  /** What `status` shows of this follower, and of the members behind it as far as it knows them. */
  views(): [string, FollowerStatus][] {
    const progressOf = (database: string) => this.#progressOf(database);
    return followerViews(this.#context, this.#peer, {
      databases: this.#databases,
      progressOf,
      verifications: this.#verifications,
      underWay: this.#underWay.oldest,
      error: this.#error,
    });
  }
}
