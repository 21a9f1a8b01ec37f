/**
 * What a follower may get now: with a schedule, what the journal held when shipping was last ordered; otherwise everything.
 * And who waits for it.
 */
import type { Txid } from "../ltx/position.ts";
import { errorView } from "./error-view.ts";
import type { ShippedMember } from "./member-control.ts";
import { MemberError } from "./member-error.ts";

/** How a pass ended: nothing is left over, or the error that came in between. */
type Outcome = { readonly kind: "done" } | { readonly kind: "failed"; readonly error: unknown };

type Settle = (outcome: Outcome | null) => void;

export class ShipmentOrders {
  readonly #ends: () => ReadonlyMap<string, Txid>;
  #limits: ReadonlyMap<string, Txid> | null;
  #open = false;
  /** Their orders are too young for the pass that goes on. */
  #waiting: Settle[] = [];
  #served: Settle[] = [];

  /**
   * @param ends of the journals now
   * @param limits up to where shipping was ordered before; null when nobody has to order it
   */
  constructor(ends: () => ReadonlyMap<string, Txid>, limits: ReadonlyMap<string, Txid> | null) {
    this.#ends = ends;
    this.#limits = limits;
  }

  /** The last transaction of a database that may be shipped; null when all may be. */
  limit(database: string): Txid | null {
    return this.#limits === null ? null : (this.#limits.get(database) ?? (0n as Txid));
  }

  /** Passes begin from now on. */
  open(): void {
    this.#open = true;
  }

  /**
   * Orders what the journals hold now. Resolves after the first pass that began later and failed or left nothing over; null
   * when there are no passes.
   */
  async order(): Promise<Outcome | null> {
    if (!this.#open) return null;
    if (this.#limits !== null) this.#limits = this.#ends();
    return await new Promise((settle) => this.#waiting.push(settle));
  }

  /** Whether somebody waits for the end of this pass. */
  get isAwaited(): boolean {
    return this.#served.length > 0;
  }

  /** A pass begins: it serves all orders until now. */
  passBegins(): void {
    this.#served.push(...this.#waiting.splice(0));
  }

  /** A pass has left nothing over, or failed. */
  passEnded(outcome: Outcome): void {
    for (const settle of this.#served.splice(0)) settle(outcome);
  }

  /** There will be no more passes. */
  close(): void {
    this.#open = false;
    for (const settle of [...this.#served.splice(0), ...this.#waiting.splice(0)]) settle(null);
  }
}

/** What a pass has failed with, for who has ordered it; null when it has not. */
export function outcomeError(outcome: Outcome | null, nowMs: number): ShippedMember["error"] {
  if (outcome?.kind === "done") return null;
  const stopped = new MemberError("SHIPPING_STOPPED", "nobody ships any more: the daemon is being stopped", {
    hint: "Run the command again.",
  });
  const { code, message, hint } = errorView(outcome?.error ?? stopped, nowMs);
  return { code, message, hint };
}
