/** How far a follower is behind this member's journal. */
import { parseTxid, type Txid } from "../ltx/position.ts";
import type { Receipt } from "../status/member-status.ts";
import { epochAfter } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";

type FollowerLag = Pick<Receipt, "lagTransactions" | "lagSeconds" | "unreceivedSeconds">;

/**
 * @param reached what the follower says it has received and integrated, 16 hexadecimal digits; null when it has said nothing.
 */
export function followerLag(
  context: MemberContext,
  database: string,
  reached: { readonly received: string | null; readonly integrated: string | null },
): FollowerLag {
  const { lagSeconds: unreceivedSeconds } = lagBehind(context, database, reached.received);
  return { ...lagBehind(context, database, reached.integrated), unreceivedSeconds };
}

/**
 * In seconds it is the age of the oldest segment after `reached`. Segments carry the operational
 * member's time, so that member compares them with its own clock; a mirror, with the newest segment that it has.
 */
function lagBehind(
  context: MemberContext,
  database: string,
  reached: string | null,
): Pick<Receipt, "lagTransactions" | "lagSeconds"> {
  const row = context.store.database(database);
  const done = reached === null ? null : parseTxid(reached);
  if (done === null || row?.received == null) return { lagTransactions: null, lagSeconds: null };
  const lagTransactions = Math.max(0, Number(row.received.txid - done));
  if (lagTransactions === 0) return { lagTransactions, lagSeconds: 0 };
  const [oldest] = context.store.segments(database, {
    epoch: epochAfter(context, database, done),
    kind: "segment",
    fromTxid: (done + 1n) as Txid,
    limit: 1,
  });
  const nowMs = context.role === "operational" ? context.nowMs() : (row.receivedTimeMs ?? 0);
  return { lagTransactions, lagSeconds: oldest === undefined ? null : Math.max(0, nowMs - oldest.timestampMs) / 1000 };
}
