/**
 * Which files of the journal may go: a decision over catalogue rows, members' positions, the clock and the limits. It
 * touches nothing; purge-duty.ts carries it out.
 *
 * Guarantees: the newest snapshot of a database and everything after it stay, whatever the pressure; so does what this
 * member's own copy has not integrated. Without pressure a file goes only when it is older than the retention, no instant
 * within the retention is restored from it, and every member that was seen within `giveUpAfter` has integrated it. Under
 * pressure history that no member needs goes first, oldest first, whatever its age; then members are given up one at a
 * time, the one furthest behind first. A member that was given up goes on from the newest snapshot.
 */
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import type { Txid } from "../ltx/position.ts";

export interface JournalPlace {
  readonly epoch: number;
  readonly txid: Txid;
}

/** A member that gets this journal, from here or through another member. */
export interface MemberNeed {
  readonly member: string;
  /** What it has integrated, or, when that is nothing yet, received. */
  readonly place: JournalPlace;
  /** When it was last known to be alive. */
  readonly seenAtMs: number;
}

/** One database's journal. */
export interface DatabaseHistory {
  readonly database: string;
  /** Oldest first; perhaps only the oldest part of them. */
  readonly segments: readonly SegmentRow[];
  /** Whether `segments` are all of them. */
  readonly complete: boolean;
  /** All of them, oldest first. */
  readonly snapshots: readonly SegmentRow[];
  /** What this member's own copy holds; null when there is none yet. */
  readonly integrated: JournalPlace | null;
  readonly needs: readonly MemberNeed[];
}

export interface RetentionLimits {
  readonly nowMs: number;
  readonly retentionMs: number;
  readonly giveUpAfterMs: number;
  /** Bytes that must be freed at once, because of the journal's size or the free space of its file system; 0 for none. */
  readonly excessBytes: number;
}

export interface Removal {
  readonly row: SegmentRow;
  readonly reason: "expired" | "space";
}

export interface GivenUp {
  readonly member: string;
  readonly database: string;
  readonly reason: "away" | "space";
}

export interface RetentionPlan {
  /** In the order in which they should go. */
  readonly removals: readonly Removal[];
  /** Members that lose something that they have not integrated. */
  readonly givenUp: readonly GivenUp[];
  /** What could not be freed of the excess. */
  readonly shortBytes: number;
}

export function planRetention(histories: readonly DatabaseHistory[], limits: RetentionLimits): RetentionPlan {
  const shelves = histories.flatMap((history) => {
    const newest = history.snapshots.at(-1);
    return newest === undefined ? [] : [new Shelf(history, newest, limits)];
  });
  const removals: Removal[] = [];
  for (const shelf of shelves) for (const row of shelf.takeExpired()) removals.push({ row, reason: "expired" });
  let shortBytes = limits.excessBytes - removals.reduce((sum, { row }) => sum + row.bytes, 0);
  while (shortBytes > 0) {
    const shelf = oldest(shelves, (each) => each.spare);
    const row = shelf?.takeSpare();
    if (row !== undefined) {
      removals.push({ row, reason: "space" });
      shortBytes -= row.bytes;
    } else if (!giveUpOne(shelves)) {
      break;
    }
  }
  return {
    removals,
    givenUp: shelves.flatMap((shelf) => shelf.givenUp),
    shortBytes: Math.max(0, shortBytes),
  };
}

/** False when nobody's leaving would free anything, or when there may be files that nobody needs beyond those that were given. */
function giveUpOne(shelves: readonly Shelf[]): boolean {
  if (shelves.some((shelf) => shelf.isExhausted)) return false;
  const shelf = oldest(shelves, (each) => each.needed);
  shelf?.giveUpFurthest();
  return shelf !== undefined;
}

/** The shelf whose row, as `rowOf` says, was catalogued first. */
function oldest(shelves: readonly Shelf[], rowOf: (shelf: Shelf) => SegmentRow | undefined): Shelf | undefined {
  let found: { shelf: Shelf; atMs: number } | undefined;
  for (const shelf of shelves) {
    const row = rowOf(shelf);
    if (row !== undefined && (found === undefined || row.addedAtMs < found.atMs)) {
      found = { shelf, atMs: row.addedAtMs };
    }
  }
  return found?.shelf;
}

/** What may go of one database: everything before the newest snapshot that this member's own copy has integrated. */
class Shelf {
  readonly givenUp: GivenUp[] = [];
  readonly #history: DatabaseHistory;
  readonly #limits: RetentionLimits;
  /** Whether there may be more rows of this kind beyond those that were given. */
  readonly #goesOn: boolean;
  /** In catalogue order, as `#needed`. */
  #spare: SegmentRow[];
  #needed: SegmentRow[] = [];
  #holders: MemberNeed[];
  /** Members that no longer hold anything back. They are given up only once something is taken that they need. */
  #released: { readonly need: MemberNeed; readonly reason: GivenUp["reason"] }[] = [];

  constructor(history: DatabaseHistory, newest: SegmentRow, limits: RetentionLimits) {
    this.#history = history;
    this.#limits = limits;
    const { integrated, segments, snapshots } = history;
    const mayGo = (row: SegmentRow) =>
      integrated !== null && compare(endOf(row), endOf(newest)) <= 0 && compare(endOf(row), integrated) <= 0;
    const last = segments.at(-1);
    this.#goesOn = !history.complete && last !== undefined && mayGo(last);
    this.#spare = [...segments, ...snapshots.slice(0, -1)].filter(mayGo).sort(inCatalogueOrder);
    const holders = history.needs.filter(({ place }) => canGoOnFrom(place, segments));
    const isAway = ({ seenAtMs }: MemberNeed) => limits.nowMs - seenAtMs > limits.giveUpAfterMs;
    this.#holders = holders.filter((need) => !isAway(need));
    this.#released = holders.filter(isAway).map((need) => ({ need, reason: "away" }));
    this.#divide();
  }

  /** The oldest row that no member needs. */
  get spare(): SegmentRow | undefined {
    return this.#spare[0];
  }

  /** The oldest row that a member needs. */
  get needed(): SegmentRow | undefined {
    return this.#needed[0];
  }

  /** Whether all that was given may be taken, or has been, and there may be more that nobody needs. */
  get isExhausted(): boolean {
    return this.#goesOn && this.#needed.length === 0 && this.#spare.length === 0;
  }

  /** Takes what the retention does not ask for and no member needs. */
  takeExpired(): SegmentRow[] {
    const cutoffMs = this.#limits.nowMs - this.#limits.retentionMs;
    // Every instant within the retention is restored from this snapshot or a later one.
    const base = this.#history.snapshots.findLast((row) => row.addedAtMs <= cutoffMs);
    if (base === undefined) return [];
    const isExpired = (row: SegmentRow) => row.addedAtMs <= cutoffMs && inCatalogueOrder(row, base) < 0;
    const expired = this.#spare.filter(isExpired);
    this.#spare = this.#spare.filter((row) => !isExpired(row));
    this.#noteLosses(expired);
    return expired;
  }

  takeSpare(): SegmentRow | undefined {
    const row = this.#spare.shift();
    if (row !== undefined) this.#noteLosses([row]);
    return row;
  }

  giveUpFurthest(): void {
    const [furthest, ...others] = this.#holders.toSorted((a, b) => compare(a.place, b.place));
    if (furthest === undefined) return;
    this.#holders = others;
    this.#released.push({ need: furthest, reason: "space" });
    this.#divide();
  }

  #divide(): void {
    const rows = [...this.#spare, ...this.#needed].sort(inCatalogueOrder);
    const isNeeded = (row: SegmentRow) => this.#holders.some((holder) => needs(holder, row));
    this.#needed = rows.filter(isNeeded);
    this.#spare = rows.filter((row) => !isNeeded(row));
  }

  #noteLosses(rows: readonly SegmentRow[]): void {
    const loses = ({ need }: { need: MemberNeed }) => rows.some((row) => needs(need, row));
    for (const released of this.#released.filter(loses)) {
      const { need, reason } = released;
      this.givenUp.push({ member: need.member, database: this.#history.database, reason });
    }
    this.#released = this.#released.filter((released) => !loses(released));
  }
}

/** Whether a member at `place` finds its next segment among `segments`; if not, it starts over from the newest snapshot. */
function canGoOnFrom(place: JournalPlace, segments: readonly SegmentRow[]): boolean {
  const next = segments.find((row) => compare(endOf(row), place) > 0);
  return next === undefined || next.minTxid <= place.txid + 1n;
}

/** Snapshots are for restores and new members: nobody who goes on from a place needs one. */
function needs(need: MemberNeed, row: SegmentRow): boolean {
  return row.kind === "segment" && compare(endOf(row), need.place) > 0;
}

function endOf(row: SegmentRow): JournalPlace {
  return { epoch: row.epoch, txid: row.maxTxid };
}

function compare(a: JournalPlace, b: JournalPlace): number {
  return a.epoch - b.epoch || Number(a.txid - b.txid);
}

/** A snapshot comes after the segment that ends with it. */
function inCatalogueOrder(a: SegmentRow, b: SegmentRow): number {
  return compare(endOf(a), endOf(b)) || Number(a.kind === "snapshot") - Number(b.kind === "snapshot");
}
