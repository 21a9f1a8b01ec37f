/**
 * Keeps the journal within its limits: carries out what retention.ts decides, for all databases of this member.
 *
 * Guarantee: a row leaves the catalogue before its file leaves the disk, so that every row has its file; a crash between
 * the two leaves a file without a row, which the next start removes.
 */
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { toTxid } from "../ltx/position.ts";
import type { FollowerStatus, JournalStatus } from "../status/member-status.ts";
import { PROGRESS_BYTES } from "./cut-segment.ts";
import { FollowerNeeds } from "./follower-needs.ts";
import { epochAfter, newestSnapshot } from "./journal-epochs.ts";
import type { Shortage } from "./journal-space.ts";
import type { MemberContext } from "./member-context.ts";
import type { PurgeResult } from "./member-control.ts";
import { type DatabaseHistory, type GivenUp, type MemberNeed, planRetention, type RetentionPlan } from "./retention.ts";
import { Signal } from "./signal.ts";

/** Segments of a database that are looked at together: the oldest; a journal may have millions. */
const WINDOW_SEGMENTS = 1_000;
/** Removals are logged; events are raised at most this often, because a full journal loses something with every segment. */
const PURGED_EVENT_INTERVAL_MS = 3_600_000;

export class PurgeDuty {
  /** Set when a purge should not wait for its time. */
  readonly due = new Signal();
  readonly #context: MemberContext;
  readonly #needs: FollowerNeeds;
  readonly #shortages = new Set<Shortage>();
  readonly #givenUp = new Map<string, Omit<GivenUp, "reason">>();
  #unreported = { files: 0, bytes: 0 };
  #reportedAtMs = Number.NEGATIVE_INFINITY;
  #oldestMs: number | null = null;

  /** @param followers every member behind this one, as far as receipts say. */
  constructor(context: MemberContext, followers: () => Iterable<readonly [string, FollowerStatus]>) {
    this.#context = context;
    this.#needs = new FollowerNeeds(context, followers);
    for (const database of context.journals()) {
      for (const need of this.#needs.of(database))
        if (this.#isCutOff(database, need)) this.#noteGivenUp(need.member, database);
    }
    context.space.keeper = { makeRoom: (bytes) => this.#makeRoom(bytes), comesNear: () => this.due.set() };
  }

  /** Removes all that may go now. */
  run(): PurgeResult[] {
    const { space } = this.#context;
    space.measure();
    this.#needs.refresh();
    const shortage = space.shortage(PROGRESS_BYTES);
    if (shortage !== null) this.#noteShortage(shortage.code);
    else if (space.isEased) this.#noteEase();
    const removed = this.#purge(shortage?.bytes ?? 0);
    this.#noteReturns();
    this.#oldestMs = this.#findOldest();
    this.#context.changed();
    return this.#results(removed);
  }

  /** What {@link run} would remove. */
  dryRun(): PurgeResult[] {
    const { space } = this.#context;
    space.measure();
    this.#needs.refresh();
    const excess = space.shortage(PROGRESS_BYTES)?.bytes ?? 0;
    return this.#results(this.#plan(excess, Number.POSITIVE_INFINITY).removals.map(({ row }) => row));
  }

  /**
   * The database of which a snapshot would let go most, when the journal has come near to its limit and most of it is what
   * must stay; null when there is none.
   */
  wantsSnapshot(): string | null {
    const { space, store, databases } = this.#context;
    if (!space.isNear) return null;
    let best: { database: string; gain: number } | null = null;
    let staying = 0;
    for (const database of databases.keys()) {
      const newest = newestSnapshot(this.#context, database);
      if (newest === null) continue;
      const after = store.catalogue.bytesAfter(database, newest.epoch, newest.maxTxid);
      const gain = after - newest.bytes;
      staying += after + newest.bytes;
      if (gain > (best?.gain ?? 0) && space.shortage(newest.bytes, { snapshot: true }) === null)
        best = { database, gain };
    }
    return staying > space.capacity / 2 ? (best?.database ?? null) : null;
  }

  /** What status shows. */
  view(): JournalStatus {
    this.#oldestMs ??= this.#findOldest();
    return {
      ...this.#context.space.view(),
      oldest: this.#oldestMs === null ? null : new Date(this.#oldestMs).toISOString(),
      shortages: [...this.#shortages],
      givenUp: [...this.#givenUp.values()],
    };
  }

  /** Called before a segment is cut for which there is no room. */
  #makeRoom(bytes: number): void {
    const shortage = this.#context.space.shortage(PROGRESS_BYTES);
    if (shortage !== null) this.#noteShortage(shortage.code);
    this.#purge(bytes);
    this.due.set();
  }

  #purge(excessBytes: number): SegmentRow[] {
    const removed: SegmentRow[] = [];
    let left = excessBytes;
    for (;;) {
      const { removals, givenUp } = this.#plan(left, WINDOW_SEGMENTS);
      if (removals.length === 0) break;
      const rows = removals.map(({ row }) => row);
      this.#remove(rows);
      removed.push(...rows);
      left -= rows.reduce((sum, { bytes }) => sum + bytes, 0);
      for (const each of givenUp) this.#giveUp(each);
    }
    this.#report(removed);
    return removed;
  }

  #plan(excessBytes: number, window: number): RetentionPlan {
    const { configuration, nowMs } = this.#context;
    const { retentionMs, giveUpAfterMs } = configuration.journal;
    const histories = this.#context.journals().flatMap((database) => this.#history(database, window));
    const limits = { nowMs: nowMs(), retentionMs, giveUpAfterMs, excessBytes: Math.max(0, excessBytes) };
    return planRetention(histories, limits);
  }

  /** Empty when nothing of the database can go. */
  #history(database: string, window: number): DatabaseHistory[] {
    const { store } = this.#context;
    const snapshots = store.segments(database, { kind: "snapshot" });
    const newest = snapshots.at(-1);
    const [first] = store.segments(database, { kind: "segment", limit: 1 });
    if (newest === undefined) return [];
    if (snapshots.length === 1 && (first === undefined || first.maxTxid > newest.maxTxid)) return [];
    const limit = Number.isFinite(window) ? window : -1;
    const segments = store.segments(database, { kind: "segment", limit });
    const integrated = store.database(database)?.integrated ?? null;
    const complete = segments.length < window;
    return [{ database, segments, complete, snapshots, integrated, needs: this.#needs.of(database) }];
  }

  #remove(rows: readonly SegmentRow[]): void {
    const { store, journal, space } = this.#context;
    store.transaction(() => {
      for (const row of rows) store.removeSegment(row);
    });
    for (const row of rows) {
      journal.remove(row);
      space.grew(-row.bytes);
    }
  }

  #report(removed: readonly SegmentRow[]): void {
    if (removed.length === 0) return;
    const { event, logger, nowMs } = this.#context;
    const bytes = removed.reduce((sum, row) => sum + row.bytes, 0);
    logger.info({ files: removed.length, bytes }, "files of the journal removed");
    this.#unreported = { files: this.#unreported.files + removed.length, bytes: this.#unreported.bytes + bytes };
    if (nowMs() - this.#reportedAtMs < PURGED_EVENT_INTERVAL_MS) return;
    event("info", "PURGED", null, `${this.#unreported.files} files of the journal were removed`, this.#unreported);
    this.#unreported = { files: 0, bytes: 0 };
    this.#reportedAtMs = nowMs();
  }

  #giveUp({ member, database, reason }: GivenUp): void {
    this.#noteGivenUp(member, database);
    const why = reason === "away" ? "it has been away for longer than `giveUpAfter`" : "there was no room for them";
    const message = `segments that ${member} had not integrated were removed, because ${why}; it goes on with the pages that differ`;
    this.#context.event("warn", "MEMBER_GIVEN_UP", database, message, { member, reason });
  }

  #noteGivenUp(member: string, database: string): void {
    this.#givenUp.set(`${member}/${database}`, { member, database });
  }

  #noteReturns(): void {
    for (const [key, { member, database }] of this.#givenUp) {
      const need = this.#needs.of(database).find((each) => each.member === member);
      if (need !== undefined && this.#isCutOff(database, need)) continue;
      this.#givenUp.delete(key);
      this.#context.event("info", "MEMBER_RETURNED", database, `${member} goes on with the journal again`, { member });
    }
  }

  /** Whether the segment that follows what the member has is no longer there. */
  #isCutOff(database: string, { place }: MemberNeed): boolean {
    const { store } = this.#context;
    const epoch = epochAfter(this.#context, database, place.txid);
    const end = store.database(database)?.received?.txid ?? 0n;
    const next = toTxid(place.txid + 1n);
    const [first] = store.segments(database, { epoch, kind: "segment", fromTxid: next, limit: 1 });
    return place.txid < end && (first === undefined || first.minTxid > next);
  }

  #noteShortage(code: Shortage): void {
    if (this.#shortages.has(code)) return;
    this.#shortages.add(code);
    const view = this.#context.space.view();
    const what = code === "DISK_LOW" ? "the journal's file system is nearly full" : "the journal has reached its limit";
    this.#context.event("warn", code, null, `${what}: history goes before its time`, { ...view });
  }

  #noteEase(): void {
    for (const code of this.#shortages)
      this.#context.event("info", "SPACE_RECOVERED", null, `${code} is over`, { code });
    this.#shortages.clear();
  }

  #findOldest(): number | null {
    const { store } = this.#context;
    const times = this.#context
      .journals()
      .flatMap((database) => store.segments(database, { limit: 1 }).map((row) => row.timestampMs));
    return times.length === 0 ? null : Math.min(...times);
  }

  #results(removed: readonly SegmentRow[]): PurgeResult[] {
    const { store, journal } = this.#context;
    return this.#context.journals().map((database) => {
      const rows = removed.filter((row) => row.database === database);
      const { bytes } = store.segmentTotals(database);
      return {
        database,
        removed: rows.map((row) => journal.path(row)),
        removedBytes: rows.reduce((sum, row) => sum + row.bytes, 0),
        bytes,
      };
    });
  }
}
