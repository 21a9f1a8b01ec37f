/**
 * The side of a hand-over that gives the role away; docs/STATES.md, "The hand-over".
 *
 * Guarantee: from the moment that the databases are fenced the state says so, and whoever starts with it undoes the hand-over
 * or finishes it, whichever is proved: it is withdrawn only when the other member can neither have taken it nor take it
 * any more, and this member follows only when the other one's epoch has begun. The worst outcome is that neither can be
 * proved, since the other mailbox cannot be reached: then the databases stay fenced, the status says so, and it is tried
 * again until one of them is.
 */
import { randomBytes } from "node:crypto";
import { formatPosition, type Position } from "../ltx/position.ts";
import type { OpenOffer } from "../roles/role-state.ts";
import { type ErrorView, type HandoverView, type MemberStatus, parsePositionView } from "../status/member-status.ts";
import { errorView } from "./error-view.ts";
import { publishStatusDurably } from "./jobs/heartbeat.ts";
import { knownRoles } from "./known-roles.ts";
import type { Member } from "./member.ts";
import type { CancelOptions, CancelResult, SwitchoverOptions, SwitchoverResult } from "./member-control.ts";
import { type MemberError, notRunning } from "./member-error.ts";
import { formatOffer, OFFER_MAX_BYTES, offerName } from "./offer-file.ts";
import { pause } from "./pause.ts";
import type { Peer } from "./peer.ts";
import { readStatusOrHangUp } from "./peer-status.ts";
import { checkSwitchover, type SwitchoverTarget } from "./switchover-check.ts";
import {
  behind,
  cancelled,
  nothingOffered,
  offeredTo,
  refused,
  running,
  timedOut,
  unsettled,
} from "./switchover-errors.ts";

const DEFAULT_TIMEOUT_MS = 60_000;
const LOOK_INTERVAL_MS = 20;
/** A withdrawal that failed is tried again so often. */
const RETRY_MS = 1_000;
/** How long a command waits for what is left to do when the hand-over is done, or undone; the daemon goes on without it. */
const SETTLE_LIMIT_MS = 10_000;

type Stage = Exclude<HandoverView["state"], "refused">;

/** Until when a step may take. */
interface Limit {
  readonly untilMs: number;
  readonly timeoutMs: number;
}

export class Switchover {
  readonly #member: Member;
  /** After a start there is only one thing to do with an offer. */
  #stage: Stage = "withdrawing";
  #error: ErrorView | null = null;
  /** Aborted to cancel the command at work; null when there is none. */
  #command: AbortController | null = null;

  constructor(member: Member) {
    this.#member = member;
  }

  /** What status shows of the offer. */
  get view(): HandoverView | null {
    const { state } = this.#member.roles;
    if (state.role !== "offering") return null;
    const { id, epoch, to } = state.offer;
    return { id, epoch, to, state: this.#stage, error: null };
  }

  /** What is wrong while it can neither be finished nor undone. */
  get errors(): ErrorView[] {
    return this.#error !== null && this.#member.roles.state.role === "offering" ? [this.#error] : [];
  }

  /**
   * Hands over, or says what keeps it from that: then nothing has changed, or everything is undone.
   * @throws MemberError as {@link checkSwitchover}, and SWITCHOVER_BEHIND, SWITCHOVER_TIMEOUT, SWITCHOVER_REFUSED,
   *   SWITCHOVER_CANCELLED, SWITCHOVER_UNSETTLED; HookError of beforeFence; what keeps databases from being fenced.
   */
  async begin({ to, timeoutMs = DEFAULT_TIMEOUT_MS, dryRun = false }: SwitchoverOptions): Promise<SwitchoverResult> {
    if (this.#command !== null) throw running(this.#member.context.self.name);
    const command = new AbortController();
    this.#command = command;
    try {
      const target = await checkSwitchover(this.#member, to);
      const { steps } = this.#member.context;
      if (dryRun) return await this.#result(target, { dryRun, interruptedMs: null });
      steps.done("switchover:checked", `nothing is against handing over to ${to}`);
      await this.#bringForward(target, this.#limit(timeoutMs));
      steps.done("switchover:level", `${to} has everything that had been committed`);
      await this.#member.hooks.askToFence(target.epoch, to);
      return await this.#handOver(target, timeoutMs);
    } finally {
      this.#command = null;
    }
  }

  /**
   * Undoes the hand-over that is under way, if that can be done any more; by force also if nobody knows.
   * @throws MemberError SWITCHOVER_NONE, SWITCHOVER_TARGET, SWITCHOVER_UNSETTLED.
   */
  async cancel({ force }: CancelOptions): Promise<CancelResult> {
    const { roles, context } = this.#member;
    if (this.#command === null && roles.state.role !== "offering") {
      throw nothingOffered(context.self.name);
    }
    this.#command?.abort();
    if (force !== undefined) this.#giveUp(force);
    const untilMs = performance.now() + SETTLE_LIMIT_MS;
    const isUnderWay = () =>
      this.#command !== null || roles.state.role === "offering" || roles.state.role === "claimed";
    while (isUnderWay() && performance.now() < untilMs) await this.#pause();
    if (roles.state.role === "offering") throw unsettled(roles.state.offer.to);
    return { roles: knownRoles(await this.#member.status()) };
  }

  /** An operator answers for it that the other member has not begun its epoch. */
  #giveUp(force: string): void {
    const { roles, context } = this.#member;
    const { state } = roles;
    if (state.role !== "offering") return;
    const { to, epoch } = state.offer;
    if (force !== to) throw offeredTo(to, force);
    this.#stage = "withdrawing";
    publishStatusDurably(this.#member);
    roles.apply({ type: "offerWithdrawn" });
    context.event("warn", "SWITCHOVER_FORCED", null, `serving again, whether or not ${to} has taken over`, {
      epoch,
      to,
    });
  }

  /** One attempt to settle an offer that no command looks after: a daemon found it in its state, or a command gave up. */
  async settle(): Promise<void> {
    const { state } = this.#member.roles;
    if (this.#command === null && state.role === "offering") await this.#attemptToSettle();
  }

  /** Everything that was committed until now, while applications go on: what is left for the fence is small then. */
  async #bringForward(target: SwitchoverTarget, limit: Limit): Promise<void> {
    const { member } = target.peer;
    const ends = await Promise.all([...this.#member.operational.values()].map((duty) => duty.rotate()));
    const txids = new Map(ends.map(({ database, position }) => [database, position.split(":")[1] ?? ""]));
    this.#shipNow(target);
    await this.#until(target.peer, limit, {
      isDone: ({ databases }) => [...txids].every(([name, txid]) => (databases[name]?.integrated?.txid ?? "") >= txid),
      tooLate: () => behind(member.name, seconds(limit)),
    });
  }

  async #handOver(target: SwitchoverTarget, timeoutMs: number): Promise<SwitchoverResult> {
    const { context } = this.#member;
    const limit = this.#limit(timeoutMs);
    const begunMs = performance.now();
    try {
      const offer = await this.#prepare(target, limit);
      await this.#offer(target.peer, offer, limit);
      await this.#untilTaken(target.peer, offer, limit);
    } catch (error) {
      if (!(await this.#undo(target, error))) throw error;
    }
    const interruptedMs = Math.round(performance.now() - begunMs);
    const { name } = target.peer.member;
    context.steps.done("switchover:learned", `${name} is operational in epoch ${target.epoch}`);
    await this.#untilFollowing(target);
    context.steps.done("switchover:following", `${context.self.name} follows ${name}`);
    return await this.#result(target, { dryRun: false, interruptedMs });
  }

  /** Fences, and brings the rest to the other member. @returns the offer that may be made then. */
  async #prepare(target: SwitchoverTarget, limit: Limit): Promise<OpenOffer> {
    const { context, roles, operational } = this.#member;
    const { steps, self, store } = context;
    const { epoch, peer } = target;
    const to = peer.member.name;
    const offer = { id: randomBytes(8).toString("hex"), epoch, from: self.name, to, starts: null };
    this.#stage = "preparing";
    this.#error = null;
    const refused = roles.apply({ type: "offer", offer });
    if (refused !== null) throw running(self.name);
    context.event("warn", "SWITCHOVER_BEGUN", null, `this member hands over to ${to}`, { epoch, to });
    steps.done("switchover:begun", "the hand-over has begun");
    await Promise.all([...operational.values()].map((duty) => duty.setFence(true)));
    steps.done("switchover:fenced", "the databases are fenced: writes are refused");
    const starts: Record<string, Position> = {};
    for (const name of operational.keys()) {
      const end = store.database(name)?.received ?? null;
      if (end !== null) starts[name] = end;
    }
    this.#shipNow(target);
    await this.#until(peer, limit, {
      isDone: (status) => isAt(status, starts),
      tooLate: () => timedOut(`${to} did not integrate the rest within ${seconds(limit)}`),
    });
    steps.done("switchover:shipped", `${to} has integrated everything`);
    const open = { ...offer, starts };
    roles.apply({ type: "offer", offer: open });
    this.#stage = "offered";
    publishStatusDurably(this.#member);
    steps.done("switchover:recorded", `what is offered is recorded`);
    return open;
  }

  /** The outcome of an attempt may not be known: what lies there already, or was taken, is not put there again. */
  async #offer(peer: Peer, offer: OpenOffer, limit: Limit): Promise<void> {
    const { context } = this.#member;
    const { mirror } = context.configuration;
    const text = formatOffer({ mirror, of: this.#member.roles.epoch, offer });
    let isFirst = true;
    for (;;) {
      try {
        if (isFirst || !(await this.#isThere(peer, offer.id))) {
          isFirst = false;
          await peer.transport().publish(offerName("offer", offer.id), Buffer.from(text));
        }
        break;
      } catch (error) {
        if (performance.now() >= limit.untilMs) throw error;
        await peer.disconnect().catch(() => undefined);
      }
      await this.#pause();
    }
    context.steps.done("switchover:offered", `epoch ${offer.epoch} is offered to ${offer.to}`);
  }

  async #isThere(peer: Peer, id: string): Promise<boolean> {
    const names = [offerName("offer", id), offerName("taken", id)];
    for (const name of names)
      if ((await peer.transport().read(name, { maxBytes: OFFER_MAX_BYTES })) !== null) return true;
    return false;
  }

  async #untilTaken(peer: Peer, offer: OpenOffer, limit: Limit): Promise<void> {
    const { roles } = this.#member;
    await this.#until(peer, limit, {
      isDone: ({ handover }) => {
        if (handover?.id === offer.id && handover.state === "refused") throw refused(offer.to, handover.error);
        return roles.state.role !== "offering";
      },
      tooLate: () => timedOut(`${offer.to} did not take the offer within ${seconds(limit)}`),
    });
  }

  /** @returns false when all is as it was before; true when it was too late for that, and the other member has taken over. */
  async #undo(target: SwitchoverTarget, error: unknown): Promise<boolean> {
    const { context, roles, running } = this.#member;
    const { code, message } = errorView(error, context.nowMs());
    if (!running) throw notRunning(context.self.name);
    const untilMs = performance.now() + SETTLE_LIMIT_MS;
    while (roles.state.role === "offering" && performance.now() < untilMs) {
      await this.#attemptToSettle();
      if (roles.state.role === "offering") await this.#pause(RETRY_MS);
    }
    if (roles.state.role === "offering") throw unsettled(target.peer.member.name);
    if (roles.role === "mirror") return roles.operational === target.peer.member.name;
    context.event("warn", "SWITCHOVER_UNDONE", null, `the hand-over is undone: ${message}`, { error: code });
    while (roles.state.role === "claimed" && performance.now() < untilMs) await this.#pause();
    context.steps.done("switchover:undone", "the hand-over is undone: the databases are writable again");
    return false;
  }

  async #attemptToSettle(): Promise<void> {
    try {
      await this.#withdraw();
      this.#error = null;
    } catch (error) {
      const { state } = this.#member.roles;
      if (state.role !== "offering") return;
      const { context } = this.#member;
      const { message } = errorView(error, context.nowMs());
      const view = errorView(unsettled(state.offer.to), context.nowMs());
      if (this.#error === null) context.event("error", view.code, null, `${view.message}: ${message}`);
      this.#error = { ...view, since: this.#error?.since ?? view.since };
      context.changed();
      await this.#member.peers
        .get(state.offer.to)
        ?.disconnect()
        .catch(() => undefined);
    }
  }

  /**
   * Withdraws the offer if nobody has taken it. The status says so before anything else: who takes an offer has seen its file
   * first, and the status afterwards. So whoever saw that it was open has a file that is removed here, or was taken already.
   */
  async #withdraw(): Promise<void> {
    const { roles, peers, context } = this.#member;
    const { state } = roles;
    if (state.role !== "offering") return;
    const { id, to, starts, epoch } = state.offer;
    this.#stage = "withdrawing";
    publishStatusDurably(this.#member);
    if (this.#error === null) context.steps.done("switchover:withdrawing", "the hand-over is being undone");
    if (starts !== null) {
      const peer = peers.get(to);
      if (peer === undefined) throw new Error(`${to} is in the configuration no longer`);
      await peer.transport().remove(offerName("offer", id));
      const isTaken = (await peer.transport().read(offerName("taken", id), { maxBytes: OFFER_MAX_BYTES })) !== null;
      await peer.refresh();
      if (isTaken) await this.#assertBegun(to);
    }
    const left = roles.state;
    if (left.role !== "offering") return;
    roles.apply({ type: "offerWithdrawn" });
    context.steps.done("switchover:withdrawn", `epoch ${epoch} is not offered any more`);
  }

  /** What was taken is begun at once, if the other member's daemon runs. */
  async #assertBegun(to: string): Promise<void> {
    if (this.#member.roles.state.role === "offering")
      throw new Error(`${to} has taken the offer, and shows no new epoch yet`);
  }

  async #untilFollowing({ peer }: SwitchoverTarget): Promise<void> {
    const member = this.#member;
    const untilMs = performance.now() + SETTLE_LIMIT_MS;
    const isServed = () => peer.status?.role === "operational" && peer.status.state === "operational";
    const isFollowing = () => [...member.context.databases.keys()].every((name) => member.mirrors.has(name));
    while (performance.now() < untilMs && member.running) {
      await readStatusOrHangUp(peer);
      if (isServed() && isFollowing()) return;
      await this.#pause();
    }
  }

  /** Under a schedule, too. */
  #shipNow({ follower }: SwitchoverTarget): void {
    void this.#member.shippers.get(follower)?.ship();
  }

  async #until(
    peer: Peer,
    { untilMs }: Limit,
    { isDone, tooLate }: { isDone: (status: MemberStatus) => boolean; tooLate: () => MemberError },
  ): Promise<void> {
    for (;;) {
      await readStatusOrHangUp(peer);
      if (peer.status !== null && isDone(peer.status)) return;
      if (this.#command?.signal.aborted === true) throw cancelled();
      if (!this.#member.running) throw notRunning(this.#member.context.self.name);
      if (performance.now() >= untilMs) throw tooLate();
      await this.#pause();
    }
  }

  async #pause(milliseconds = LOOK_INTERVAL_MS): Promise<void> {
    await pause(milliseconds, NEVER);
  }

  #limit(timeoutMs: number): Limit {
    return { timeoutMs, untilMs: performance.now() + timeoutMs };
  }

  async #result(
    { peer, epoch }: SwitchoverTarget,
    facts: Pick<SwitchoverResult, "dryRun" | "interruptedMs">,
  ): Promise<SwitchoverResult> {
    const { context } = this.#member;
    const roles = knownRoles(await this.#member.status());
    return { from: context.self.name, to: peer.member.name, epoch, ...facts, roles };
  }
}

const NEVER = new AbortController().signal;

function isAt({ databases }: MemberStatus, starts: Readonly<Record<string, Position>>): boolean {
  return Object.entries(starts).every(([name, start]) => {
    const { received = null, integrated = null } = databases[name] ?? {};
    return [received, integrated].every((view) => {
      const position = parsePositionView(view);
      return position !== null && formatPosition(position) === formatPosition(start);
    });
  });
}

function seconds({ timeoutMs }: Limit): string {
  return `${timeoutMs / 1000} s`;
}
