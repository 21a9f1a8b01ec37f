/** What a salvage did, as it is printed by `--json`. */
import { formatPosition, formatTxid } from "../ltx/position.ts";
import type { Evidence } from "./evidence.ts";
import type { SalvagePlan } from "./salvage-plan.ts";

/** Plain JSON. TXIDs are 16 hexadecimal digits, positions `epoch:txid:checksum`, times ISO 8601. */
export interface SalvagedDatabase {
  readonly database: string;
  /** `complete`: there was nothing to salvage. `refused`: see `error`; nothing of this database was touched. */
  readonly outcome: "salvaged" | "complete" | "refused";
  /** The end of the mirror's journal before and after; null when it has not begun. */
  readonly from: string | null;
  readonly to: string | null;
  readonly firstTxid: string | null;
  readonly lastTxid: string | null;
  readonly transactions: number;
  /** From the lost member's journal, and cut here. */
  readonly unshippedSegments: number;
  readonly cutSegments: number;
  readonly method: SalvagePlan["method"];
  readonly proved: boolean;
  readonly discardedFrames: number;
  /** When the last salvaged transaction was made, by the lost machine's clock, as far as is known. */
  readonly lastCommit: string | null;
  readonly evidence: Evidence | null;
  readonly notes: readonly string[];
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

export interface SalvageResult {
  /** The member that is lost. */
  readonly member: string;
  readonly dryRun: boolean;
  readonly databases: readonly SalvagedDatabase[];
}

/** Of a plan that was carried out; null when there was none. */
export function report(plan: SalvagePlan | null): Omit<SalvagedDatabase, "database" | "error"> {
  const { from = null, to = null, unshipped = [], cut = [] } = plan ?? {};
  const segments = [...unshipped, ...cut];
  const first = segments[0];
  return {
    outcome: first === undefined ? "complete" : "salvaged",
    from: from === null ? null : formatPosition(from),
    to: to === null ? null : formatPosition(to),
    firstTxid: first === undefined ? null : formatTxid(first.minTxid),
    lastTxid: first === undefined || to === null ? null : formatTxid(to.txid),
    transactions: Number((to?.txid ?? 0n) - (from?.txid ?? 0n)),
    unshippedSegments: unshipped.length,
    cutSegments: cut.length,
    method: plan?.method ?? "none",
    proved: plan?.proved ?? false,
    discardedFrames: plan?.discardedFrames ?? 0,
    lastCommit: plan?.lastCommitMs == null ? null : new Date(plan.lastCommitMs).toISOString(),
    evidence: plan?.evidence ?? null,
    notes: plan?.notes ?? [],
  };
}
