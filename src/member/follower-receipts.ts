/** Reads again and again what a follower says of itself, and takes from it where shipping goes on. */
import { formatTxid } from "../ltx/position.ts";
import { type DatabaseStatus, parsePositionView } from "../status/member-status.ts";
import type { VerificationAnswers } from "./deep-verification.ts";
import { isBeyond } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";
import type { Peer } from "./peer.ts";
import type { ShipmentProgress } from "./shipment-progress.ts";

/** How often a follower's receipt is read while nothing else happens. */
const RECEIPT_INTERVAL_MS = 1_000;
/** How often while the follower has not integrated everything: somebody may be waiting for it. */
const BEHIND_INTERVAL_MS = 200;

/** What receipts are for. */
interface ReceiptUses {
  databases(): readonly string[];
  progressOf(database: string): ShipmentProgress;
  readonly verifications: VerificationAnswers;
}

export class FollowerReceipts {
  readonly #context: MemberContext;
  readonly #peer: Peer;
  readonly #uses: ReceiptUses;
  #reading: Promise<void> | null = null;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: MemberContext, peer: Peer, uses: ReceiptUses) {
    this.#context = context;
    this.#peer = peer;
    this.#uses = uses;
  }

  /** Whether one was read since the start, or since {@link forget}. */
  get isKnown(): boolean {
    return this.#readAtMs !== Number.NEGATIVE_INFINITY;
  }

  /** How often receipts are read now. */
  get intervalMs(): number {
    const behind = this.#uses.databases().some((database) => {
      const integrated = this.#peer.status?.databases[database]?.integrated?.txid ?? "";
      return integrated !== formatTxid(this.#uses.progressOf(database).shipped);
    });
    return behind && this.#peer.alive ? BEHIND_INTERVAL_MS : RECEIPT_INTERVAL_MS;
  }

  /** Begins to read one; null when it is too early, or one is being read. Rejects with what {@link Peer.refresh} rejects with. */
  read(stop: AbortSignal): Promise<void> | null {
    if (this.#reading !== null || this.#context.nowMs() - this.#readAtMs < this.intervalMs) return null;
    this.#reading = this.#read(stop).finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  /** Waits for the one that is being read, and forgets when one was read. */
  async forget(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    this.#readAtMs = Number.NEGATIVE_INFINITY;
  }

  async #read(stop: AbortSignal): Promise<void> {
    await this.#peer.refresh();
    this.#readAtMs = this.#context.nowMs();
    for (const database of this.#uses.databases()) this.#take(database, stop);
  }

  #take(database: string, stop: AbortSignal): void {
    const receipt = this.#peer.status?.databases[database];
    const asked = this.#peer.alive ? (receipt?.verificationAsked ?? null) : null;
    if (asked !== null) this.#uses.verifications.ask(database, asked, stop);
    if (receipt === undefined || this.#isDiverged(database, receipt)) return;
    const { nowMs, logger } = this.#context;
    const epoch = receipt.received?.epoch ?? this.#context.epoch;
    const from = this.#uses.progressOf(database).read(receipt, { epoch, alive: this.#peer.alive, nowMs: nowMs() });
    const follower = this.#peer.member.name;
    if (from !== null) logger.warn({ follower, database, from: formatTxid(from) }, "shipping again");
  }

  /** What a follower has received that is in no later epoch says nothing of where it goes on. */
  #isDiverged(database: string, { received }: DatabaseStatus): boolean {
    const position = parsePositionView(received);
    return position !== null && isBeyond(this.#context, database, position);
  }
}
