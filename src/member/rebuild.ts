/** What it would take to make a mirror's copy equal to its upstream's, and which way is the cheapest. */
import { existsSync } from "node:fs";
import type { ResyncMethod } from "../journal/resync-ledger.ts";
import { formatTxid, NO_TXID, parseTxid } from "../ltx/position.ts";
import { BYTES_PER_PAGE_SUM } from "../sqlite/page-sums.ts";
import { halts } from "./duty-errors.ts";
import type { MemberContext } from "./member-context.ts";
import type { RebuildMethod, RebuildPlan } from "./member-control.ts";
import type { Peer } from "./peer.ts";

/** What a copy's file cannot have for its pages to be compared. */
const UNREADABLE = new Set(["DATABASE_EMPTY", "DATABASE_NOT_SQLITE", "DATABASE_NOT_WAL", "DATABASE_PAGE_SIZE"]);

/**
 * Plans, and changes nothing. Bytes are those that have to come over the wire; those of pages and segments are estimated
 * from the database's size and from the segments that are here.
 * @param wanted null for the cheapest method that is possible.
 */
export function planRebuild(
  context: MemberContext,
  upstream: Peer | null,
  database: string,
  wanted: RebuildMethod | null,
): RebuildPlan {
  const row = context.store.database(database);
  const theirs = upstream?.status?.databases[database] ?? null;
  const pages = theirs?.pageCount ?? row?.pageCount ?? 0;
  const snapshot = pages * (theirs?.pageSize ?? row?.pageSize ?? 0);
  const missing = bytesMissing(context, database, upstream);
  const here = bytesHere(context, database);
  const error = row?.error?.code ?? null;
  const hasCopy = existsSync(context.databases.get(database) ?? "");
  const isReadable = hasCopy && !UNREADABLE.has(error ?? "");
  const isVerified = context.store.verification(database)?.ok !== false;
  const isSound = row?.integrated != null && isReadable && isVerified && !halts(error ?? "");
  const bytes = {
    replay: isSound && !isCutOff(context, database, upstream) ? missing : null,
    resync:
      hasCopy && !UNREADABLE.has(error ?? "") ? BYTES_PER_PAGE_SUM * pages + Math.min(snapshot, here + missing) : null,
    snapshot,
  };
  // What a comparison costs beyond the pages themselves is some thousandth of them.
  const copied = bytes.resync === null ? "snapshot" : "resync";
  const isReplayed = bytes.replay !== null && bytes.replay <= (bytes[copied] ?? 0);
  const cheapest = isReplayed ? "replay" : copied;
  return { database, method: wanted ?? cheapest, bytes, error, pages };
}

/** What a rebuild orders; null for what a mirror does by itself. */
export function methodToOrder(method: RebuildMethod): ResyncMethod | null {
  return method === "replay" ? null : method;
}

/** Whether the upstream says that it no longer has the segments that this member needs next. */
export function isCutOff({ self, store }: MemberContext, database: string, upstream: Peer | null): boolean {
  const cutOff = upstream?.status?.followers[self.name]?.databases[database]?.cutOff;
  const received = store.database(database)?.received ?? null;
  // What it says of an earlier position is out of date.
  return cutOff !== undefined && received !== null && cutOff === formatTxid(received.txid);
}

/** Of the segments that are here and not integrated. */
function bytesHere({ store, epoch }: MemberContext, database: string): number {
  const integrated = store.database(database)?.integrated ?? null;
  return store.catalogue.bytesAfter(database, integrated?.epoch ?? epoch, integrated?.txid ?? NO_TXID);
}

/** Of the segments that have not arrived, by the average of those that have. */
function bytesMissing({ store }: MemberContext, database: string, upstream: Peer | null): number {
  const received = store.database(database)?.received?.txid ?? NO_TXID;
  const end = parseTxid(upstream?.status?.databases[database]?.received?.txid ?? "") ?? received;
  const [first] = store.segments(database, { kind: "segment", limit: 1 });
  const last = store.catalogue.last(database);
  if (first === undefined || last === null || end <= received) return 0;
  const transactions = Math.max(1, Number(last.maxTxid - first.minTxid) + 1);
  return Math.round((store.segmentTotals(database).bytes / transactions) * Number(end - received));
}
