/**
 * Shippers that write into one mailbox, in a world that the test moves: requests that are answered late, deaths, copies of
 * state directories, processes that stand still, and the clock.
 */
import { setImmediate as turn } from "node:timers/promises";
import { MailboxLease } from "../../src/member/mailbox-lease.ts";

/** The clock moves in steps of this. */
export const QUANTUM_MS = 250;
/** The mailbox answers within this time. */
export const ANSWER_MS = 3 * QUANTUM_MS;
const RETRY_MS = 1_000;

interface Request {
  readonly kind: "read" | "publish";
  readonly sinceMs: number;
  /** Lets the mailbox answer. */
  answer(): void;
}

/** One state directory and, while it lives, the process that works with it. */
export class LeaseShipper {
  readonly epoch: number;
  readonly #world: LeaseWorld;
  #memory: readonly string[] = [];
  #lease: MailboxLease | null = null;
  #request: Request | null = null;
  #asking = false;
  #held = false;
  #paused = false;
  #retryAtMs = 0;

  constructor(world: LeaseWorld, epoch: number) {
    this.#world = world;
    this.epoch = epoch;
  }

  /** Whether it puts files into the mailbox: it does so from the moment it has the lease until it learns that it lost it. */
  get ships(): boolean {
    return this.#held && !this.#paused;
  }

  start(): void {
    if (this.#lease !== null) return;
    this.#retryAtMs = 0;
    const lease = new MailboxLease({
      owner: { mirror: "clinic", member: "lisbon", epoch: this.epoch, instance: "of all copies" },
      follower: "porto",
      mailbox: () => ({
        read: () => this.#ask(lease, "read", () => this.#world.file),
        publish: (_name, bytes) =>
          this.#ask(lease, "publish", () => {
            this.#world.file = bytes;
          }),
      }),
      memory: {
        load: () => this.#memory,
        save: (sessions) => {
          this.#memory = sessions;
        },
      },
      onTakeover: () => undefined,
      clockMs: () => this.#world.nowMs,
    });
    this.#lease = lease;
  }

  /** Kills the process; what it had asked the mailbox to write may still be written. */
  crash(): void {
    if (this.#request?.kind === "publish") this.#world.onTheirWay.push(this.#request);
    this.#request = null;
    this.#lease = null;
    this.#asking = false;
    this.#held = false;
    this.#paused = false;
  }

  /** Stops the process as SIGSTOP does, or lets it go on. What it asked for is answered when it goes on. */
  pause(): void {
    this.#paused = this.#lease !== null && !this.#paused;
  }

  /** Makes this state directory a copy of the other one, which may be in use. */
  cloneFrom(other: LeaseShipper): void {
    if (this.#lease === null) this.#memory = other.#memory;
  }

  /** Its request is answered, if it has one. */
  async answer(): Promise<void> {
    const request = this.#request;
    if (request === null || this.#paused) return;
    this.#request = null;
    request.answer();
    await turn();
  }

  /** What it does without delay: takes or renews the lease when that is due; and an answer that is due comes. */
  async live(): Promise<void> {
    if (this.#lease === null || this.#paused) return;
    const { nowMs } = this.#world;
    if (this.#request !== null && nowMs - this.#request.sinceMs >= ANSWER_MS) await this.answer();
    if (this.#asking || nowMs < this.#retryAtMs) return;
    if (this.#lease.isFresh) this.#lease.renewEarly();
    else this.#hold(this.#lease);
    await turn();
  }

  #hold(lease: MailboxLease): void {
    this.#asking = true;
    const settle = (held: boolean) => {
      if (lease !== this.#lease) return;
      this.#asking = false;
      this.#held = held;
      if (!held) this.#retryAtMs = this.#world.nowMs + RETRY_MS;
    };
    lease.hold().then(
      () => settle(true),
      () => settle(false),
    );
  }

  #ask<T>(lease: MailboxLease, kind: Request["kind"], act: () => T): Promise<T> {
    return new Promise((resolve) => {
      // A dead process asks for nothing more.
      if (lease !== this.#lease) return;
      this.#request = { kind, sinceMs: this.#world.nowMs, answer: () => resolve(act()) };
    });
  }
}

export class LeaseWorld {
  nowMs = 0;
  file: Uint8Array | null = null;
  /** What dead processes had sent to the mailbox. */
  readonly onTheirWay: Request[] = [];
  readonly shippers: readonly LeaseShipper[];

  constructor(epochs: readonly number[]) {
    this.shippers = epochs.map((epoch) => new LeaseShipper(this, epoch));
  }

  async arrive(): Promise<void> {
    this.onTheirWay.shift()?.answer();
    await turn();
  }

  async pass(): Promise<void> {
    for (const shipper of this.shippers) await shipper.live();
    this.nowMs += QUANTUM_MS;
  }
}
