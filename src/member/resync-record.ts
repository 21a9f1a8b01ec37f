/** What the state and the journal remember of a copy that was made equal to the upstream's. */
import { isSnapshot } from "../ltx/header.ts";
import { parseNodeId } from "../ltx/node-id.ts";
import type { SegmentSummary } from "../ltx/verify-segment.ts";
import type { AppliedCopy } from "./found-copy.ts";
import type { MemberContext } from "./member-context.ts";

interface Resynced {
  /** The file with the pages, which has been applied. */
  readonly answerPath: string;
  readonly summary: SegmentSummary;
  readonly applied: AppliedCopy;
  readonly onStep: (step: "resync-adopted") => void;
}

/**
 * Records the copy's new position, and everything that goes with it, in one transaction. Beyond the end of the journal that
 * ends there, too; where the file fits behind what the journal has, it becomes a part of it.
 * @returns whether the journal leads to the position without a gap.
 */
export async function recordResync(
  context: MemberContext,
  database: string,
  { answerPath, summary, applied, onStep }: Resynced,
): Promise<boolean> {
  const { store, journal, history, space } = context;
  const { header, postApplyChecksum, bytes, pages } = summary;
  const { maxTxid, minTxid, timestampMs, pageSize, preApplyChecksum } = header;
  const { epoch } = parseNodeId(header.nodeId);
  const received = store.database(database)?.received ?? null;
  const isAhead = received === null || maxTxid > received.txid;
  const follows = received?.txid === minTxid - 1n && received.checksum === preApplyChecksum;
  const ref = {
    database,
    epoch,
    kind: isSnapshot(header) ? ("snapshot" as const) : ("segment" as const),
    minTxid,
    maxTxid,
  };
  const isAdopted = isAhead && (follows || isSnapshot(header));
  if (isAdopted) await journal.adopt(answerPath, ref);
  onStep("resync-adopted");
  const nowMs = context.nowMs();
  const position = history.forward(database, { epoch, txid: maxTxid, checksum: postApplyChecksum });
  store.transaction(() => {
    applied.saveChecksums();
    if (isAdopted)
      store.addSegment({ ...ref, preApplyChecksum, postApplyChecksum, bytes, pages, timestampMs, addedAtMs: nowMs });
    store.saveDatabase(database, {
      integrated: position,
      integratedTimeMs: timestampMs,
      integratedAtMs: nowMs,
      pageSize,
      pageCount: header.commit,
      mirrorMark: applied.mirrorMark,
      intent: null,
      closedSignature: null,
      ...(isAhead ? { received: position, receivedAtMs: nowMs, receivedTimeMs: timestampMs } : {}),
    });
    store.resyncs.delete(database);
    // It was found of pages that are no longer there.
    store.forgetVerification(database);
  });
  if (isAdopted) space.grew(bytes);
  return !isAhead || isAdopted;
}
