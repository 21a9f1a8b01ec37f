/** What `status` shows of a follower, and of the members behind it as far as it knows them. */
import { formatTxid } from "../ltx/position.ts";
import { type FollowerStatus, type PositionView, parsePositionView, type Receipt } from "../status/member-status.ts";
import type { VerificationAnswers } from "./deep-verification.ts";
import { followerLag } from "./follower-lag.ts";
import { lineTxid } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";
import type { Peer } from "./peer.ts";
import type { ShipmentProgress } from "./shipment-progress.ts";

interface Shipping {
  readonly databases: readonly string[];
  progressOf(database: string): ShipmentProgress;
  /** What came of the verifications that it has asked for. */
  readonly verifications: VerificationAnswers;
  /** The file that is being put into its inbox. */
  readonly underWay: { readonly database: string; readonly bytes: number } | null;
  /** What keeps it from being shipped to. */
  readonly error: FollowerStatus["error"];
}

export function followerViews(context: MemberContext, peer: Peer, shipping: Shipping): [string, FollowerStatus][] {
  const { name } = peer.member;
  const behind = Object.entries(peer.status?.followers ?? {});
  return [
    [name, followerView(context, peer, shipping)],
    ...behind.map(([member, known]): [string, FollowerStatus] => {
      const receipts = Object.entries(known.databases).map(([database, receipt]): [string, Receipt] => {
        const { received, integrated } = receipt;
        return [
          database,
          { shipped: null, received, integrated, ...followerLag(context, database, { received, integrated }) },
        ];
      });
      const reachable = known.reachable && peer.alive;
      return [member, { ...known, via: known.via ?? name, reachable, databases: Object.fromEntries(receipts) }];
    }),
  ];
}

/** What a follower holds of an epoch after its end is no receipt for what is in the later one. */
function txidOnLine(context: MemberContext, database: string, view: PositionView | null): string | null {
  const position = parsePositionView(view);
  return position === null ? null : formatTxid(lineTxid(context, database, position));
}

function followerView(
  context: MemberContext,
  peer: Peer,
  { databases, progressOf, verifications, underWay, error }: Shipping,
): FollowerStatus {
  const receipts = databases.map((database): [string, Receipt] => {
    const known = peer.status?.databases[database];
    const integrated = txidOnLine(context, database, known?.integrated ?? null);
    const lag = followerLag(context, database, {
      received: txidOnLine(context, database, known?.received ?? null),
      integrated,
    });
    const { shipped, cutOffAt } = progressOf(database);
    const receipt = { shipped: formatTxid(shipped), received: known?.received?.txid ?? null, integrated };
    const cutOff = cutOffAt === null ? {} : { cutOff: formatTxid(cutOffAt) };
    const verification = verifications.of(database);
    const asked = verification === undefined ? {} : { verification };
    const sending = underWay?.database === database ? { sending: underWay.bytes } : {};
    return [database, { ...receipt, ...cutOff, ...asked, ...sending, ...lag }];
  });
  const movedAtMs = peer.heartbeatMovedAtMs;
  return {
    via: null,
    reachable: peer.alive,
    heartbeat: movedAtMs === null ? null : new Date(movedAtMs).toISOString(),
    error,
    databases: Object.fromEntries(receipts),
  };
}
