/**
 * How old a mirror's copies may be, by what is proved and by this machine's clock alone.
 *
 * Guarantee: everything that the operational member had cut `staleSeconds` ago is in the copy. The copies of a member that
 * hears nothing any more therefore become older with every second, although nothing is known to be missing. That a heartbeat
 * has moved proves that the document was written after the read before; two machines' clocks are never compared.
 */
import { type Position, parseTxid } from "../ltx/position.ts";
import { type DatabaseStatus, type MemberStatus, parsePositionView } from "../status/member-status.ts";

/** What a member knows of the one above it. */
interface Source {
  readonly status: MemberStatus | null;
  /** Its newest document was written after this time of this machine; null when its heartbeat was never seen to move. */
  readonly writtenAfterMs: number | null;
}

/** Of what is proved, whether it was received or integrated. */
interface Copy {
  /** What is to be integrated before the time is proved. */
  readonly pending: { readonly epoch: number; readonly txid: bigint; readonly atMs: number } | null;
  readonly provedAtMs: number | null;
}

const UNPROVED: Copy = { pending: null, provedAtMs: null };

export class Staleness {
  readonly #copies = new Map<string, { readonly received: Copy; readonly integrated: Copy }>();

  /** Takes in what the status and the member above say now. @returns the status, with how old its copies are. */
  describe(status: MemberStatus, source: Source | null, nowMs: number): MemberStatus {
    const knownAtMs = status.role === "operational" ? nowMs : knownAt(source);
    for (const name of this.#copies.keys()) if (status.databases[name] === undefined) this.#copies.delete(name);
    const databases = Object.entries(status.databases).map(([name, database]): [string, DatabaseStatus] => {
      if (status.role === "operational") return [name, { ...database, staleSeconds: 0, receivedStaleSeconds: 0 }];
      const end = source?.status?.databases[name]?.operational ?? null;
      const before = this.#copies.get(name);
      const told = { end, knownAtMs };
      const received = judged(before?.received ?? UNPROVED, parsePositionView(database.received), told);
      const integrated = judged(before?.integrated ?? UNPROVED, parsePositionView(database.integrated), told);
      this.#copies.set(name, { received, integrated });
      const staleSeconds = secondsSince(integrated.provedAtMs, nowMs);
      return [name, { ...database, staleSeconds, receivedStaleSeconds: secondsSince(received.provedAtMs, nowMs) }];
    });
    const upstreamAgeSeconds = secondsSince(knownAtMs, nowMs);
    return { ...status, databases: Object.fromEntries(databases), upstreamAgeSeconds };
  }
}

function secondsSince(timeMs: number | null, nowMs: number): number | null {
  return timeMs === null ? null : Math.max(0, nowMs - timeMs) / 1000;
}

/** The time of this machine at which the source knew what its newest document says of the operational member; null when not known. */
function knownAt(source: Source | null): number | null {
  const { status = null, writtenAfterMs = null } = source ?? {};
  const ageSeconds = status?.role === "operational" ? 0 : (status?.upstreamAgeSeconds ?? null);
  return writtenAfterMs === null || ageSeconds === null ? null : writtenAfterMs - ageSeconds * 1000;
}

function judged(
  copy: Copy,
  position: Position | null,
  { end, knownAtMs }: { readonly end: DatabaseStatus["operational"]; readonly knownAtMs: number | null },
): Copy {
  const { pending } = copy;
  const isMeant = pending !== null && (position?.epoch ?? 0) <= pending.epoch;
  // One goal at a time: a mirror that is always a moment behind would never reach one that moves on before it.
  if (isMeant && !isIn(position, pending)) return copy;
  const provedAtMs = isMeant ? pending.atMs : copy.provedAtMs;
  const txid = end === null ? null : parseTxid(end.txid);
  const isNews = knownAtMs !== null && knownAtMs > (provedAtMs ?? Number.NEGATIVE_INFINITY);
  if (end === null || txid === null || !isNews) return { pending: null, provedAtMs };
  const goal = { epoch: end.epoch, txid, atMs: knownAtMs };
  return isIn(position, goal) ? { pending: null, provedAtMs: knownAtMs } : { pending: goal, provedAtMs };
}

function isIn(position: Position | null, goal: { readonly epoch: number; readonly txid: bigint }): boolean {
  return position !== null && position.epoch === goal.epoch && position.txid >= goal.txid;
}
