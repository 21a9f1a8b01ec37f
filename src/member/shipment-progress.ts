/** How far one database has been shipped to one follower, by what was put into its inbox and by what it says itself. */
import { NO_TXID, parseTxid, type Txid } from "../ltx/position.ts";
import type { DatabaseStatus } from "../status/member-status.ts";

/** A follower may ask again for something that is on its way; only a wish that lasts this long is taken at its word. */
const WISH_PATIENCE_MS = 3_000;
/** A follower that holds a copy, and lives, asks within this time for the pages that differ; else it gets a snapshot. */
const RESYNC_PATIENCE_MS = 60_000;

interface Reader {
  readonly epoch: number;
  /** Whether the follower lives. */
  readonly alive: boolean;
  readonly nowMs: number;
}

export class ShipmentProgress {
  /** Everything up to here has been put into the follower's inbox; 0 when a snapshot is needed first. */
  shipped: Txid;
  /** What the state remembers of `shipped`; it may lag behind, because shipping twice is harmless. */
  saved: Txid;
  /** Up to here segments go one by one, because merging them has saved nothing. */
  unmergedThrough: Txid = NO_TXID;
  /** Everything up to here is on its way, or was put. */
  #begun: Txid;
  /** Counts how often shipping has begun again from an earlier place. */
  #attempt = 0;
  #wish: { readonly txid: Txid; readonly sinceMs: number } | null = null;
  #cutOff: { readonly txid: Txid; readonly sinceMs: number } | null = null;

  constructor(shipped: Txid) {
    this.shipped = shipped;
    this.saved = shipped;
    this.#begun = shipped;
  }

  /** After which transaction the next file begins. */
  get begun(): Txid {
    return this.#begun > this.shipped ? this.#begun : this.shipped;
  }

  /** A file that ends with `maxTxid` is on its way. @returns what to call once it is put. */
  begin(maxTxid: Txid): () => void {
    const attempt = this.#attempt;
    this.#begun = maxTxid;
    return () => {
      if (attempt === this.#attempt && maxTxid > this.shipped) this.shipped = maxTxid;
    };
  }

  /** What is on its way does not count: shipping begins again after what was put. */
  beginAgain(): void {
    this.#attempt++;
    this.#begun = this.shipped;
  }

  /** Takes in what the follower says. @returns where shipping begins again, if the follower has asked for that. */
  read(receipt: DatabaseStatus, { epoch, alive, nowMs }: Reader): Txid | null {
    const received = receipt.received === null ? null : parseTxid(receipt.received.txid);
    // A follower that comes from another member has a journal already. If what it says is old, it will ask for what is missing.
    const isNew = this.shipped === NO_TXID && receipt.received?.epoch === epoch;
    if (received !== null && received > this.shipped && (alive || isNew)) this.shipped = received;
    if (!alive) return null;
    const wish = receipt.wants === null ? null : parseTxid(receipt.wants.txid);
    if (wish === null || wish > this.shipped) {
      this.#wish = null;
    } else if (this.#wish?.txid !== wish) {
      this.#wish = { txid: wish, sinceMs: nowMs };
    } else if (nowMs - this.#wish.sinceMs >= WISH_PATIENCE_MS) {
      this.shipped = (wish - 1n) as Txid;
      this.beginAgain();
      this.#wish = null;
      return wish;
    }
    return null;
  }

  /** What is shipped next is there, so that the follower is not cut off. */
  goesOn(): void {
    this.#cutOff = null;
  }

  /** Whether the follower was told for a while now that its copy is to be compared, and has not asked. */
  hasWaitedForRequest(nowMs: number): boolean {
    if (this.#cutOff?.txid !== this.shipped) this.#cutOff = { txid: this.shipped, sinceMs: nowMs };
    return nowMs - this.#cutOff.sinceMs >= RESYNC_PATIENCE_MS;
  }

  /** The transaction after which only a snapshot, or a comparison of pages, takes the follower on; null when segments do. */
  get cutOffAt(): Txid | null {
    return this.#cutOff?.txid === this.shipped ? this.shipped : null;
  }
}
