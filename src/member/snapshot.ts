/**
 * Snapshots of a running database: all of it as one file of the journal, while writers, readers and rotation go on.
 *
 * Guarantee: the pages are those of one commit, at which the journal stood when the snapshot began, and the checksum over
 * all of them is that of the journal there; else there is no snapshot. No write lock is taken. The read transaction of
 * the snapshot keeps the WAL from being restarted, so a snapshot is given up when the WAL has grown too far meanwhile.
 */
import { type Checksum, formatPosition, NO_CHECKSUM, type Position, type Txid } from "../ltx/position.ts";
import type { Baseline } from "../sqlite/baseline.ts";
import { type CutSegment, cutSegment, PROGRESS_BYTES, planSegment } from "./cut-segment.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";

/** A database at one commit, and where the journal stands there. */
export interface SnapshotSource {
  readonly baseline: Baseline;
  readonly position: Position;
  /** When the operational member cut the segment that ends there. */
  readonly timestampMs: number;
  /** Of whoever committed what is there, when that is not this member. */
  readonly nodeId?: bigint;
  /** Bytes of the WAL now; null when the database was closed. */
  walBytes(): number | null;
}

/**
 * Writes the snapshot, catalogues it, and closes the baseline.
 * @throws MemberError SNAPSHOT_CHECKSUM, SNAPSHOT_WAL, SPOOL_FULL, DISK_LOW; DatabaseError DATABASE_BUSY when the database was
 * closed meanwhile. There is no snapshot then.
 */
export async function writeSnapshot(
  context: MemberContext,
  database: string,
  source: SnapshotSource,
): Promise<CutSegment> {
  const { baseline, position, timestampMs } = source;
  const { space, store, journal } = context;
  const ref = { database, kind: "snapshot" as const, minTxid: 1n as Txid, maxTxid: position.txid };
  const own = planSegment(context, ref, baseline, NO_CHECKSUM);
  const plan = { ...own, epoch: position.epoch, timestampMs, nodeId: source.nodeId ?? own.nodeId };
  const contents = {
    pages: baseline.pages(),
    checksum: (written: Checksum) => provenChecksum(database, written, position),
    onProgress: (written: number) => {
      space.assertRoom(PROGRESS_BYTES, { written, snapshot: true });
      assertWalAllowed(context, database, source);
    },
  };
  try {
    const cut = await cutSegment(journal.create(plan), contents, plan);
    // Nothing is awaited between the file and its row.
    store.addSegment({ ...plan, ...cut, addedAtMs: context.nowMs() });
    space.grew(cut.bytes);
    return cut;
  } finally {
    baseline.close();
  }
}

function provenChecksum(database: string, found: Checksum, position: Position): Checksum {
  if (found === position.checksum) return found;
  throw new MemberError("SNAPSHOT_CHECKSUM", `the pages of ${database} are not those of ${formatPosition(position)}`, {
    hint: "Run `afterimage verify`: something else changed the database, or the disk gave back other bytes.",
  });
}

function assertWalAllowed(context: MemberContext, database: string, { baseline, walBytes }: SnapshotSource): void {
  const path = context.databases.get(database) ?? "";
  const bytes = walBytes() ?? 0;
  if (context.space.mayHoldWal(path, bytes, baseline.pageCount * baseline.pageSize)) return;
  throw new MemberError("SNAPSHOT_WAL", `the WAL grew to ${bytes} bytes while the snapshot was written`, {
    path,
    hint: "It is tried again by schedule; move `journal.snapshot` to a quieter hour.",
  });
}
