/**
 * One writer for each mailbox: whoever ships into a follower's mailbox holds the lease that lies in it.
 *
 * Guarantee: of several shippers that write to one mailbox, two go on together for one renewal period at most, and a
 * shipper that is alone gets the lease in the end. A mailbox cannot compare and swap: a lease is read back after it was
 * taken, and of two that took it at once the loser finds out there, or when it would renew. Clocks of two machines are
 * never compared: a lease is given up as its holder's when this process has seen it unchanged for {@link SILENCE_MS}.
 *
 * It does not protect contents: what two shippers put meanwhile is refused by Transport.put and by the follower's checks.
 */
import { randomUUID } from "node:crypto";
import type { Transport } from "../transport/transport.ts";
import { formatLease, LEASE_FILE, LEASE_MAX_BYTES, type LeaseRecord, parseLease } from "./lease-record.ts";
import { MemberError } from "./member-error.ts";

/** How old the last proof that the lease is ours may be, by this process's own clock. */
export const RENEWAL_MS = 5_000;
/** Six renewals. */
export const SILENCE_MS = 30_000;

/** Who would hold the lease. */
export type LeaseOwner = Pick<LeaseRecord, "mirror" | "member" | "epoch" | "instance">;

export interface LeaseOptions {
  readonly owner: LeaseOwner;
  /** Whose mailbox it is. */
  readonly follower: string;
  readonly mailbox: () => Pick<Transport, "read" | "publish">;
  /** What this state remembers over a restart: the sessions under which it may have left the lease in the mailbox. */
  readonly memory: { load(): readonly string[]; save(sessions: readonly string[]): void };
  /** Called when the lease was taken from somebody who had not released it. */
  readonly onTakeover: (from: LeaseRecord | null) => void;
  /** Milliseconds that only grow, from any start. */
  readonly clockMs?: () => number;
}

type Verdict = "ours" | "free" | "takeover" | "held" | "later epoch" | "foreign";

interface Seen {
  /** Empty when there is no lease. */
  readonly text: string;
  /** Null as well when it is not understood. */
  readonly lease: LeaseRecord | null;
}

export class MailboxLease {
  readonly #options: LeaseOptions;
  readonly #clockMs: () => number;
  readonly #session = randomUUID();
  /** Sessions of a former run that ended without a word; none once this run has had the lease, for then they are a copy's. */
  readonly #own: Set<string>;
  #renewal = 0;
  #confirmedAtMs = Number.NEGATIVE_INFINITY;
  #holding: Promise<void> | null = null;
  /** With what an early renewal has failed. */
  #lost: { readonly error: unknown } | null = null;
  /** The lease as it was last seen, and since when it has not changed. */
  #watched: { readonly text: string; readonly sinceMs: number } | null = null;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#clockMs = options.clockMs ?? (() => performance.now());
    this.#own = new Set(options.memory.load());
  }

  /** Whether the lease was ours so recently that nothing need be asked. */
  get isFresh(): boolean {
    return this.#clockMs() - this.#confirmedAtMs < RENEWAL_MS;
  }

  /** Takes the lease, or renews it. After an error it counts as lost. @throws MemberError LEASE_HELD, LEASE_EPOCH, LEASE_FOREIGN; TransportError. */
  async hold(): Promise<void> {
    const lost = this.#lost;
    this.#lost = null;
    if (lost !== null) throw lost.error;
    this.#holding ??= this.#renew().finally(() => {
      this.#holding = null;
    });
    await this.#holding;
  }

  /**
   * Renews a lease that is fresh beside other work, once half of its time is over, so that nobody waits for that. When it
   * fails the lease counts as lost, and the next {@link hold} says why.
   */
  renewEarly(): void {
    if (this.#holding !== null || this.#clockMs() - this.#confirmedAtMs < RENEWAL_MS / 2) return;
    this.hold().catch((error: unknown) => {
      this.#lost = { error };
    });
  }

  /** Waits for a renewal that is under way, and forgets with what it failed: who gives the connection up knows why. */
  async settled(): Promise<void> {
    await this.#holding?.catch(() => undefined);
    this.#lost = null;
  }

  async #renew(): Promise<void> {
    try {
      this.#confirmedAtMs = await this.#confirm();
    } catch (error) {
      this.#confirmedAtMs = Number.NEGATIVE_INFINITY;
      throw error;
    }
  }

  /** @returns since when the lease is known to be ours. */
  async #confirm(): Promise<number> {
    let askedAtMs = this.#clockMs();
    const held = this.#confirmedAtMs !== Number.NEGATIVE_INFINITY;
    const seen = await this.#read();
    const verdict = this.#judge(seen);
    if (verdict === "held" || verdict === "later epoch" || verdict === "foreign")
      throw this.#refused(verdict, seen.lease);
    // Whoever took it believes to be alone: so this one stops first, and takes it back, if it may, at the next attempt.
    if (verdict === "takeover" && held) throw this.#refused("held", seen.lease);
    if (verdict !== "ours") this.#remember(seen.lease);
    await this.#publish({ released: false });
    if (verdict !== "ours") {
      askedAtMs = this.#clockMs();
      const now = await this.#read();
      if (now.lease?.session !== this.#session) throw this.#refused("held", now.lease);
      if (verdict === "takeover") this.#options.onTakeover(seen.lease);
    }
    this.#own.clear();
    return askedAtMs;
  }

  /** Does work that writes into the mailbox, under a lease that is renewed meanwhile; when it is lost, `work`'s signal is aborted. */
  async during<T>(stop: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (!this.isFresh) await this.hold();
    const lost = new AbortController();
    const renew = () => void this.hold().catch((error: unknown) => lost.abort(error));
    const timer = setInterval(renew, RENEWAL_MS);
    try {
      return await work(AbortSignal.any([stop, lost.signal]));
    } finally {
      clearInterval(timer);
    }
  }

  /** Lets others have the mailbox at once. Nothing is done when the lease is not known to be ours. */
  async release(): Promise<void> {
    await this.settled();
    if (this.#confirmedAtMs === Number.NEGATIVE_INFINITY) return;
    this.#confirmedAtMs = Number.NEGATIVE_INFINITY;
    const { lease } = await this.#read();
    if (lease?.session === this.#session) await this.#publish({ released: true });
  }

  async #read(): Promise<Seen> {
    const bytes = await this.#options.mailbox().read(LEASE_FILE, { maxBytes: LEASE_MAX_BYTES });
    const text = bytes === null ? "" : Buffer.from(bytes).toString("utf8");
    if (text !== this.#watched?.text) this.#watched = { text, sinceMs: this.#clockMs() };
    return { text, lease: parseLease(text) };
  }

  async #publish({ released }: { released: boolean }): Promise<void> {
    const lease = {
      version: 1,
      ...this.#options.owner,
      session: this.#session,
      renewal: ++this.#renewal,
      released,
    } as const;
    await this.#options.mailbox().publish(LEASE_FILE, Buffer.from(formatLease(lease)));
  }

  #judge({ text, lease }: Seen): Verdict {
    const { owner } = this.#options;
    const isSilent = this.#clockMs() - (this.#watched?.sinceMs ?? 0) >= SILENCE_MS;
    if (text === "") return "free";
    if (lease === null) return isSilent ? "takeover" : "held";
    if (lease.mirror !== owner.mirror) return "foreign";
    if (lease.epoch > owner.epoch) return "later epoch";
    if (lease.session === this.#session) return "ours";
    if (lease.released || this.#own.has(lease.session)) return "free";
    return lease.epoch < owner.epoch || isSilent ? "takeover" : "held";
  }

  /** Before the lease is written: else a crash right after that would leave a lease that nobody knows to be ours. */
  #remember(replaced: LeaseRecord | null): void {
    const known = replaced !== null && this.#own.has(replaced.session) ? [replaced.session] : [];
    this.#options.memory.save([...known, this.#session]);
  }

  #refused(verdict: "held" | "later epoch" | "foreign", lease: LeaseRecord | null): MemberError {
    const { owner, follower } = this.#options;
    const holder = lease === null ? "somebody else" : `member ${lease.member}`;
    if (verdict === "foreign") {
      return new MemberError("LEASE_FOREIGN", `the mailbox of ${follower} is written by mirror set ${lease?.mirror}`, {
        path: LEASE_FILE,
        hint: "Give every mirror set mailboxes of its own. If the other one is gone, remove this file from the mailbox.",
      });
    }
    if (verdict === "later epoch") {
      return new MemberError(
        "LEASE_EPOCH",
        `${holder} writes to ${follower} in epoch ${lease?.epoch}, after ${owner.epoch}`,
        {
          path: LEASE_FILE,
          hint: "Another member took over: run `afterimage whois-operational`, and keep what only this one has.",
        },
      );
    }
    const twin = lease?.instance === owner.instance ? ", with a copy of this state directory" : "";
    return new MemberError("LEASE_HELD", `${holder} writes to ${follower}${twin}`, {
      path: LEASE_FILE,
      hint: `Stop one of the two. If the other is gone, this one takes over once it has been silent for ${SILENCE_MS / 1000} s.`,
    });
  }
}
