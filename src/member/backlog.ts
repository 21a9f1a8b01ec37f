/** What waits to be integrated into one mirror's copy, what of it may be now, and what holds the rest back. */
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import type { DatabaseRow } from "../journal/state-store.ts";
import { type Txid, toTxid } from "../ltx/position.ts";
import type { HoldView } from "../status/member-status.ts";
import type { CatchUpTarget } from "./catch-up.ts";
import { type Batch, nextBatch, parseIntent } from "./integration-batch.ts";
import type { GateOptions, IntegrationControl } from "./integration-control.ts";
import { describeHold, type Hold, holdOf, limitOf } from "./integration-gate.ts";
import type { MemberContext } from "./member-context.ts";

/** What is known of the upstream's journal. */
export interface UpstreamEnd {
  readonly txid: Txid;
  /** When its last segment was cut; null when not known. */
  readonly timeMs: number | null;
  /** Whether the upstream lives. */
  readonly isCertain: boolean;
}

export class Backlog {
  readonly #context: MemberContext;
  readonly #name: string;
  readonly #control: IntegrationControl;

  constructor(context: MemberContext, name: string, control: IntegrationControl) {
    this.#context = context;
    this.#name = name;
    this.#control = control;
  }

  /** What may be integrated next; null when nothing may. */
  nextBatch(options: GateOptions, most?: number): Batch | null {
    const facts = this.#control.facts(this.#name, options);
    const passes = (segment: SegmentRow) => holdOf(segment, facts) === null;
    return nextBatch(this.#context.store.catalogue, this.#name, this.#row(), passes, most);
  }

  /** Whether anything may be integrated next. */
  hasNext(options: GateOptions): boolean {
    return this.nextBatch(options, 1) !== null;
  }

  /** Transactions that were received and are not integrated. */
  get waiting(): number {
    const { received, integrated } = this.#row() ?? {};
    return Number((received?.txid ?? 0n) - (integrated?.txid ?? 0n));
  }

  /** What holds the next segment back, other than a backup; null when nothing does, or nothing waits. */
  get hold(): HoldView | null {
    const hold = this.#hold();
    return hold === null ? null : { by: hold.by, message: describeHold(hold, this.waiting) };
  }

  #hold(): Hold | null {
    const facts = this.#control.facts(this.#name, { isRetry: true });
    if (facts.paused) return { by: "operator" };
    if (this.waiting <= 0) return null;
    const { store } = this.#context;
    const epoch = this.#epoch;
    const fromTxid = toTxid((this.#row()?.integrated?.txid ?? 0n) + 1n);
    const [next] = store.segments(this.#name, { epoch, fromTxid, limit: 1 });
    return next === undefined ? null : holdOf(next, facts);
  }

  /** The last transaction that is integrated, or has been begun to be; null when none is. */
  get reached(): { readonly txid: Txid; readonly timeMs: number } | null {
    const row = this.#row();
    const begun = parseIntent(row?.intent);
    const txid = begun === null ? (row?.integrated?.txid ?? null) : toTxid(BigInt(begun.toTxid));
    if (txid === null) return null;
    const segment = this.#context.store.catalogue.endingAt(this.#name, txid).at(-1);
    return { txid, timeMs: segment?.timestampMs ?? row?.integratedTimeMs ?? 0 };
  }

  /** Where integration is going, as far as it may; null when it is stopped. */
  target(end: UpstreamEnd | null): CatchUpTarget | null {
    const { store } = this.#context;
    const facts = this.#control.facts(this.#name);
    const limit = limitOf(facts);
    const { received, receivedTimeMs = null } = this.#row() ?? {};
    if (limit === null || received == null) return null;
    if (facts.until !== null || facts.delayMs > 0 || facts.window !== null) {
      const last = store.catalogue.lastUntil(this.#name, this.#epoch, limit);
      return last === null ? null : { txid: last.maxTxid, timeMs: last.timestampMs, isCertain: true };
    }
    if (end !== null && end.txid > received.txid) return end;
    return { txid: received.txid, timeMs: receivedTimeMs, isCertain: end?.isCertain ?? false };
  }

  /** Of the next segment. */
  get #epoch(): number {
    return this.#row()?.integrated?.epoch ?? this.#context.epoch;
  }

  #row(): DatabaseRow | null {
    return this.#context.store.database(this.#name);
  }
}
