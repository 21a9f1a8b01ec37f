/**
 * How a state is put together: a snapshot or backup, and the segments from there to the target; of all ways the one with
 * the fewest bytes. Nothing is read but the catalogue and the sidecars.
 *
 * The way is followed backwards from the target, because that is where a history is one line: checksums say of every
 * segment which state it follows, also across epochs, where two histories may have the same TXIDs.
 */
import type { SegmentCatalogue, SegmentRow } from "../journal/segment-catalogue.ts";
import { type Checksum, formatTxid, NO_CHECKSUM, type Txid } from "../ltx/position.ts";
import type { ListedBackup } from "./backup-directory.ts";
import { BackupError } from "./backup-error.ts";
import { type BackupSidecar, positionOf } from "./backup-sidecar.ts";
import { RestoreError } from "./restore-error.ts";
import { describePoint, findTarget, type RestorePoint, type RestoreTarget, tooOld } from "./restore-target.ts";

export type RestoreBase =
  | { readonly kind: "snapshot"; readonly row: SegmentRow; readonly bytes: number }
  | { readonly kind: "backup"; readonly path: string; readonly sidecar: BackupSidecar; readonly bytes: number };

export interface RestorePlan {
  readonly database: string;
  /** The state that will be reached; null for a backup that shows no position of the journal. */
  readonly point: RestorePoint | null;
  /** The next state in the journal: what was committed between the two cannot be told apart. Null when there is none. */
  readonly next: RestorePoint | null;
  readonly base: RestoreBase;
  /** In the order in which they are applied. */
  readonly segments: readonly SegmentRow[];
  /** Of all files that are read. */
  readonly bytes: number;
}

/** What there is to restore from. */
export interface RestoreSources {
  readonly database: string;
  /** Null when the member's state is lost: then there are backups only. */
  readonly catalogue: SegmentCatalogue | null;
  /** Backups with a sidecar that fits, of this database and mirror set. */
  readonly backups: readonly ListedBackup[];
  /** Which of them may be the base. */
  readonly from: "any" | "journal" | "backup";
}

interface Candidate {
  readonly base: RestoreBase;
  readonly point: RestorePoint;
}

/** @throws RestoreError RESTORE_NOTHING, RESTORE_TOO_OLD, RESTORE_TOO_NEW, RESTORE_GAP; BackupError BACKUP_MISSING */
export function planRestore(sources: RestoreSources, target: RestoreTarget): RestorePlan {
  const { database, catalogue } = sources;
  const backups = sources.from === "journal" ? [] : sources.backups.flatMap(backupCandidate);
  if (sources.from === "backup" && backups.length === 0) return planOfBackup(sources, target);
  const snapshots =
    sources.from === "backup" ? [] : (catalogue?.list(database, { kind: "snapshot" }) ?? []).map(snapshotCandidate);
  const candidates = [...snapshots, ...backups];
  const points = backups.map((candidate) => candidate.point);
  const point = findTarget(catalogue, database, points, target);
  const oldest = oldestOf(candidates);
  if (point === null) throw tooOld(target, oldest);
  const { found, stoppedBefore } = new Way(sources, candidates, point).shortest();
  if (found !== null) return { database, point, next: nextPoint(catalogue, database, point), ...found };
  throw oldest === null || point.txid < oldest.txid ? tooOld(target, oldest) : broken(point, stoppedBefore);
}

/** A backup that shows no position can be restored as it is, and no further. */
function planOfBackup({ database, backups }: RestoreSources, target: RestoreTarget): RestorePlan {
  const [backup] = backups;
  if (backup?.sidecar == null) throw new BackupError("BACKUP_MISSING", `this is no backup of ${database}`);
  if (target.kind !== "newest") {
    throw new RestoreError("RESTORE_GAP", "this backup shows no position, so no transaction can be added to it", {
      path: backup.path,
      hint: "Leave --txid and --time away to restore it as it is, or use another backup.",
    });
  }
  const { path, sidecar } = backup;
  const { bytes } = sidecar;
  return { database, point: null, next: null, base: { kind: "backup", path, sidecar, bytes }, segments: [], bytes };
}

interface FoundWay {
  readonly base: RestoreBase;
  readonly segments: readonly SegmentRow[];
  readonly bytes: number;
}

/** Follows the segments from the target backwards, and remembers the cheapest base that it meets. */
class Way {
  readonly #database: string;
  readonly #catalogue: SegmentCatalogue | null;
  readonly #candidates: readonly Candidate[];
  readonly #end: RestorePoint;
  #found: FoundWay | null = null;

  constructor({ database, catalogue }: RestoreSources, candidates: readonly Candidate[], end: RestorePoint) {
    this.#database = database;
    this.#catalogue = catalogue;
    this.#candidates = candidates;
    this.#end = end;
  }

  /** `stoppedBefore`: the segment in front of which nothing fits. */
  shortest(): { found: FoundWay | null; stoppedBefore: SegmentRow | null } {
    const end = this.#end;
    const segments: SegmentRow[] = [];
    let bytes = 0;
    this.#consider(({ point }) => sameState(point, end), { segments, bytes });
    let segment = this.#endingIn(end);
    while (segment !== null && bytes < (this.#found?.bytes ?? Number.POSITIVE_INFINITY)) {
      const current: SegmentRow = segment;
      segments.push(current);
      bytes += current.bytes;
      this.#consider(({ point }) => follows(current, point), { segments, bytes });
      segment = this.#before(current);
    }
    return { found: this.#found, stoppedBefore: segments.at(-1) ?? null };
  }

  /** `way.segments` is newest first. */
  #consider(fits: (candidate: Candidate) => boolean, way: { segments: readonly SegmentRow[]; bytes: number }): void {
    for (const candidate of this.#candidates) {
      const bytes = way.bytes + candidate.base.bytes;
      if (fits(candidate) && bytes < (this.#found?.bytes ?? Number.POSITIVE_INFINITY)) {
        this.#found = { base: candidate.base, segments: way.segments.toReversed(), bytes };
      }
    }
  }

  #endingIn(point: RestorePoint): SegmentRow | null {
    const rows = this.#catalogue?.endingAt(this.#database, point.txid) ?? [];
    return rows.find((row) => row.kind === "segment" && sameState(pointOf(row), point)) ?? null;
  }

  /** The segment that leads to what `segment` follows; of several the one that overlaps with it least. */
  #before(segment: SegmentRow): SegmentRow | null {
    const fromTxid = (segment.minTxid - 1n) as Txid;
    if (fromTxid === 0n || this.#catalogue === null) return null;
    const { epoch } = segment;
    const [same] = this.#catalogue.list(this.#database, { epoch, kind: "segment", fromTxid, limit: 1 });
    if (same !== undefined && follows(segment, pointOf(same))) return same;
    const others = this.#catalogue.endingAt(this.#database, fromTxid);
    return others.findLast((row) => row.kind === "segment" && follows(segment, pointOf(row))) ?? null;
  }
}

/** Whether the segment can be applied to the state: it holds every page that changed from there on. */
function follows(segment: SegmentRow, point: RestorePoint): boolean {
  if (point.txid === segment.minTxid - 1n) {
    const { preApplyChecksum } = segment;
    return bothKnown(preApplyChecksum, point.checksum)
      ? preApplyChecksum === point.checksum
      : segment.epoch === point.epoch;
  }
  return point.epoch === segment.epoch && point.txid >= segment.minTxid && point.txid < segment.maxTxid;
}

function sameState(a: RestorePoint, b: RestorePoint): boolean {
  const sameChecksum = !bothKnown(a.checksum, b.checksum) || a.checksum === b.checksum;
  return a.epoch === b.epoch && a.txid === b.txid && sameChecksum;
}

function bothKnown(a: Checksum, b: Checksum): boolean {
  return a !== NO_CHECKSUM && b !== NO_CHECKSUM;
}

function pointOf({ epoch, maxTxid, postApplyChecksum, timestampMs }: SegmentRow): RestorePoint {
  return { epoch, txid: maxTxid, checksum: postApplyChecksum, timeMs: timestampMs };
}

function snapshotCandidate(row: SegmentRow): Candidate {
  return { base: { kind: "snapshot", row, bytes: row.bytes }, point: pointOf(row) };
}

function backupCandidate({ path, sidecar }: ListedBackup): Candidate[] {
  const position = sidecar === null ? null : positionOf(sidecar);
  if (sidecar === null || position === null) return [];
  const timeMs = sidecar.time === null ? null : Date.parse(sidecar.time);
  return [{ base: { kind: "backup", path, sidecar, bytes: sidecar.bytes }, point: { ...position, timeMs } }];
}

function nextPoint(catalogue: SegmentCatalogue | null, database: string, { epoch, txid }: RestorePoint) {
  const fromTxid = (txid + 1n) as Txid;
  const next = catalogue?.list(database, { epoch, kind: "segment", fromTxid, limit: 1 })[0];
  return next === undefined ? null : pointOf(next);
}

function oldestOf(candidates: readonly Candidate[]): RestorePoint | null {
  const points = candidates.map(({ point }) => point);
  return points.length === 0 ? null : points.reduce((oldest, point) => (point.txid < oldest.txid ? point : oldest));
}

function broken(point: RestorePoint, stoppedBefore: SegmentRow | null): RestoreError {
  const missing = (stoppedBefore === null ? point.txid : stoppedBefore.minTxid - 1n) as Txid;
  const message = `the way to ${describePoint(point)} is broken: nothing here leads to transaction ${formatTxid(missing)}`;
  return new RestoreError("RESTORE_GAP", message, {
    hint: "Another member's journal may be whole; `afterimage verify` says what is missing here.",
  });
}
