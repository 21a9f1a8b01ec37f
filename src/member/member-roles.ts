/**
 * Which role this member has, and what it knows of the epochs: from its own state, and from what the other members' status
 * documents say.
 *
 * Guarantee: a state is durable before anybody acts upon it. Who acts is the service, see role-change.ts.
 */
import type { EventLevel } from "../journal/event-log.ts";
import type { StateStore } from "../journal/state-store.ts";
import { type Epoch, EpochHistory } from "../roles/epoch-history.ts";
import { decodeEpoch, type EpochDocument } from "../roles/role-documents.ts";
import { knownEpoch, type Refusal, type RoleEvent, type RoleState, reigns, transition } from "../roles/role-state.ts";
import { RolesError } from "../roles/roles-error.ts";
import type { ErrorView, MemberRole } from "../status/member-status.ts";
import { errorView } from "./error-view.ts";

interface RolesOptions {
  readonly store: StateStore;
  readonly member: string;
  /** The operational member of epoch 1, by the configuration. */
  readonly first: string;
  nowMs(): number;
  event(level: EventLevel, code: string, database: null, message: string, data?: Record<string, unknown>): void;
  /** Called when the role, or who reigns, is another one now. */
  changed(): void;
}

/** What a member does for its databases; `none`: nothing, they are fenced and nobody captures them. */
export type DatabaseDuty = MemberRole | "none";

export class MemberRoles {
  readonly #options: RolesOptions;
  #state: RoleState;
  #history: EpochHistory;
  #split: ErrorView | null = null;
  #isolated: ErrorView | null = null;
  #begun: number | null = null;
  #cloned: ErrorView | null = null;
  /** Or since this process has known of it. */
  #roleSinceMs: number;

  constructor(options: RolesOptions) {
    this.#options = options;
    const { store, member, first, nowMs } = options;
    const known = store.role();
    const role = member === first ? "operational" : "mirror";
    this.#state = known ?? { role, epoch: 1 };
    this.#history = store.history();
    this.#roleSinceMs = nowMs();
    const isUntold = reigns(this.#state) && this.#history.current === null;
    if (known === null || isUntold) this.#save(this.#state, isUntold ? this.#initial() : undefined);
  }

  get state(): RoleState {
    return this.#state;
  }

  get history(): EpochHistory {
    return this.#history;
  }

  /** The epoch that this member reigns in, or follows. */
  get epoch(): number {
    return this.#state.epoch;
  }

  get role(): MemberRole {
    return reigns(this.#state) ? "operational" : "mirror";
  }

  get duty(): DatabaseDuty {
    const isStopped = this.#state.role === "deposed" || this.#isolated !== null || this.#cloned !== null;
    return isStopped ? "none" : this.#service;
  }

  /** What a demoted member has, the others may still need: it goes on cutting and shipping. */
  get #service(): MemberRole {
    return this.isDemoted ? "operational" : this.role;
  }

  /** Whether this member gave its role up, and nobody has taken it yet as far as it knows. */
  get isDemoted(): boolean {
    return this.#state.role === "demoted";
  }

  /** The member that reigns in the newest epoch. */
  get operational(): string {
    return this.#history.current?.member ?? this.#options.first;
  }

  /** What is wrong with roles and epochs. */
  get errors(): ErrorView[] {
    return [this.#deposed(), this.#demoted(), this.#cloned, this.#isolated, this.#split].filter(
      (error) => error !== null,
    );
  }

  /** Takes in what another member knows of the epochs. */
  learn(from: string, told: readonly EpochDocument[]): void {
    let merged: EpochHistory;
    try {
      merged = this.#history.merge(new EpochHistory(told.map(decodeEpoch)));
    } catch (error) {
      if (!(error instanceof RolesError)) throw error;
      this.#reportSplit(from, error);
      return;
    }
    if (merged !== this.#history) this.#take(merged);
  }

  /** Carries out a change of role. @returns why it is refused; null when it is done. */
  apply(event: RoleEvent, begun?: Epoch): Refusal | null {
    const result = transition(this.#state, event);
    if ("refused" in result) return result.refused;
    this.#save(result.next, begun);
    return null;
  }

  /**
   * Nobody could be asked whether another member reigns: the databases are fenced until somebody can be.
   * @param begun an epoch that is known to have begun: then until somebody knows whose it is; null when none is.
   */
  isolate(begun: number | null): void {
    this.apply({ type: "isolated" });
    this.#begun = begun;
    this.#isolated = isolation(begun, this.#options.nowMs());
    this.#options.event("error", this.#isolated.code, null, this.#isolated.message);
    this.#options.changed();
  }

  /** Somebody could be asked. */
  confirm(): void {
    if (this.#isolated === null) return;
    if (this.#begun !== null && reigns(this.#state) && knownEpoch(this.#state) < this.#begun) return;
    this.#isolated = null;
    if (reigns(this.#state))
      this.#options.event("info", "OPERATIONAL_CONFIRMED", null, "another member could be asked");
    this.#options.changed();
  }

  /** Whether this member's state lacks what others hold of its reign. */
  get isSetBack(): boolean {
    return this.#state.role === "deposed" && this.#state.by === this.#state.epoch;
  }

  /** Others hold more of this member's reign than its state does: its databases are fenced for good. @param evidence a clause. */
  setBack(evidence: string): void {
    this.apply({ type: "setBack", epoch: knownEpoch(this.#state) });
    this.#noteDeposed(evidence);
  }

  /** Another member of this name lives, or lives no longer. @param evidence a clause; null when it does not. */
  setCloned(evidence: string | null): void {
    const { member, nowMs, event, changed } = this.#options;
    if (evidence === null) {
      this.#cloned = null;
      event("info", "MEMBER_ALONE", null, `no other ${member} is seen any more`);
      changed();
      return;
    }
    this.apply({ type: "isolated" });
    this.#cloned = {
      code: "MEMBER_CLONED",
      message: `there are two members ${member}: ${evidence}; this one serves nothing`,
      hint: "Find the machine that runs as this member and should not, stop its daemon for good, and start this one again.",
      since: new Date(nowMs()).toISOString(),
    };
    event("error", "MEMBER_CLONED", null, this.#cloned.message);
    changed();
  }

  #take(merged: EpochHistory): void {
    const { store, event, changed, member: self } = this.#options;
    const before = this.#state;
    const { current } = merged;
    const result =
      current === null ? null : transition(before, learnedOf(current, before, self, isContinued(before, merged)));
    const next = result !== null && "next" in result ? result.next : before;
    store.transaction(() => {
      store.addEpochs(merged.epochs);
      store.saveRole(next);
      goForward(store, merged);
    });
    this.#history = merged;
    this.#state = next;
    if (current !== null) {
      const { epoch, member, reason } = current;
      event("info", "EPOCH_LEARNED", null, `${member} is operational in epoch ${epoch}`, { epoch, member, reason });
    }
    if (next.role === "deposed" && before.role !== "deposed") this.#noteDeposed("they know of its later epoch");
    changed();
  }

  #noteDeposed(evidence: string): void {
    const { nowMs, event } = this.#options;
    this.#roleSinceMs = nowMs();
    const view = this.#deposed();
    if (view === null || this.#state.role !== "deposed") return;
    const { epoch, by } = this.#state;
    const message = this.isSetBack ? `${view.message}: ${evidence}` : view.message;
    event("error", view.code, null, message, { epoch, by });
  }

  #save(next: RoleState, begun: Epoch | undefined): void {
    const { store, changed } = this.#options;
    const history = begun === undefined ? this.#history : this.#history.merge(new EpochHistory([begun]));
    const isNew = next !== this.#state || history !== this.#history;
    if (next.role !== this.#state.role) this.#roleSinceMs = this.#options.nowMs();
    store.transaction(() => {
      store.saveRole(next, begun);
      goForward(store, history);
    });
    this.#state = next;
    this.#history = history;
    if (isNew) changed();
  }

  #demoted(): ErrorView | null {
    if (this.#state.role !== "demoted") return null;
    const { epoch } = this.#state;
    return {
      code: "DEMOTED",
      message: `this member gave its role up in epoch ${epoch}: its databases are fenced, and nobody is operational`,
      hint: "Run `afterimage promote` on the member that is to take over; here, to undo it.",
      since: new Date(this.#roleSinceMs).toISOString(),
    };
  }

  #initial(): Epoch {
    const { member, nowMs } = this.#options;
    const startedAt = new Date(nowMs()).toISOString();
    return { epoch: this.#state.epoch, member, reason: "initial", startedAt, starts: {} };
  }

  #reportSplit(from: string, error: RolesError): void {
    if (this.#split !== null) return;
    this.#split = errorView(error, this.#options.nowMs());
    this.#options.event("error", error.code, null, error.message, { from });
    this.#options.changed();
  }

  #deposed(): ErrorView | null {
    if (this.#state.role !== "deposed") return null;
    const { epoch, by } = this.#state;
    const since = new Date(this.#roleSinceMs).toISOString();
    if (this.isSetBack) {
      return {
        code: "STATE_SET_BACK",
        message: `the state of ${this.#options.member} was set back: other members hold more of its epoch ${epoch}; its databases are fenced`,
        hint: `Promote the member that has received most; this one then rejoins. To go on from what is here, and to give up what the others hold: \`afterimage promote --force ${this.operational}\` here.`,
        since,
      };
    }
    return {
      code: "DEPOSED",
      message: `${this.operational} is operational since epoch ${by}; this member was in epoch ${epoch}, and its databases are fenced`,
      hint: "Run `afterimage rejoin` on this member: it keeps what only this one has, and makes it follow again.",
      since,
    };
  }
}

/** An epoch of this very member that its state does not know: it was begun before the state was set back. */
function learnedOf({ epoch, member }: Epoch, state: RoleState, self: string, continues: boolean): RoleEvent {
  const isForgotten = member === self && epoch > knownEpoch(state);
  return isForgotten ? { type: "setBack", epoch } : { type: "learned", epoch, member, continues };
}

/** Whether everything that a demoted member has is part of what leads to the newest epoch. */
function isContinued(state: RoleState, history: EpochHistory): boolean {
  if (state.role !== "demoted" || state.ends === null) return false;
  return Object.entries(state.ends).every(([database, end]) => {
    const { kind } = history.standing(database, end);
    return kind === "within" || kind === "current";
  });
}

/** Positions at which a later epoch begins are of that epoch from now on: what comes next is. */
function goForward(store: StateStore, history: EpochHistory): void {
  for (const name of store.databaseNames()) {
    const { received = null, integrated = null } = store.database(name) ?? {};
    const next = {
      received: received === null ? null : history.forward(name, received),
      integrated: integrated === null ? null : history.forward(name, integrated),
    };
    if (next.received?.epoch === received?.epoch && next.integrated?.epoch === integrated?.epoch) continue;
    store.saveDatabase(name, next);
  }
}

function isolation(begun: number | null, nowMs: number): ErrorView {
  const since = new Date(nowMs).toISOString();
  const code = "ISOLATED";
  if (begun === null) {
    return {
      ...{ code, since },
      message:
        "no other member could be asked whether it has become operational; the databases are fenced until one can",
      hint: "This member serves by itself as soon as it reaches another one. `onIsolation: continue` lets it serve alone.",
    };
  }
  return {
    ...{ code, since },
    message: `somebody ships into this mailbox in epoch ${begun}, and nobody who could be asked knows whose it is; the databases are fenced until one does`,
    hint: "Let this member reach the others, or look at `afterimage whois-operational`. If that epoch is none, remove inbox/_lease.json from the mailbox and start again.",
  };
}
