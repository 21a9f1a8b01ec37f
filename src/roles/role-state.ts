/**
 * The role of a member as a state machine. A state is durable before anything is done about it, and says all that is to
 * be done: whoever starts with a state does that again. docs/STATES.md explains the states, and what each of them demands.
 */
import type { Position } from "../ltx/position.ts";

/** The next epoch, offered by the operational member to the one that is to be operational in it. */
export interface Offer {
  readonly id: string;
  readonly epoch: number;
  readonly from: string;
  readonly to: string;
  /**
   * By database: where the offered epoch begins, which is the end of the offering member's journal. Null while that end is
   * not reached yet: then nothing has been put into the other's mailbox.
   */
  readonly starts: Readonly<Record<string, Position>> | null;
}

/** One that can be taken. */
export interface OpenOffer extends Offer {
  readonly starts: Readonly<Record<string, Position>>;
}

export type RoleState =
  /** Follows the operational member of the epoch. Its databases are fenced. */
  | { readonly role: "mirror"; readonly epoch: number }
  /** Reigns in the epoch. Its databases are writable. */
  | { readonly role: "operational"; readonly epoch: number }
  /** Reigns still, but its databases are fenced, and the offer lies in the other's mailbox, or is about to. */
  | { readonly role: "offering"; readonly epoch: number; readonly offer: Offer }
  /** The epoch is this member's; its databases are being made writable. */
  | { readonly role: "claimed"; readonly epoch: number }
  /**
   * Gave its role up, and nobody reigns until a member is promoted, it or another one. Its databases are fenced; what it
   * has it still ships. `ends` is where the journals end with everything that was ever committed; null while that is not
   * reached yet.
   */
  | { readonly role: "demoted"; readonly epoch: number; readonly ends: Readonly<Record<string, Position>> | null }
  /**
   * Reigned in the epoch, and knows of the later one. Its databases are fenced until it has rejoined. Where both are one
   * epoch, it is this member's own, and its state was set back: others hold more of it.
   */
  | { readonly role: "deposed"; readonly epoch: number; readonly by: number };

export type RoleEvent =
  /** A switchover: without `starts` when it begins, and with them once the end of the journal has been shipped and integrated. */
  | { readonly type: "offer"; readonly offer: Offer }
  /** It is proved that the offer was taken: its epoch has begun. */
  | { readonly type: "offerTaken" }
  /** It is proved that the offer was not taken and never will be. The databases are to be made writable again. */
  | { readonly type: "offerWithdrawn" }
  /** This member took the offer's file away; nobody else can take or withdraw it now. */
  | { readonly type: "claim"; readonly offer: OpenOffer }
  /** An operator makes this member operational in an epoch of its own. */
  | { readonly type: "promote"; readonly epoch: number }
  /** An operator takes the role from this member, and gives it to nobody. */
  | { readonly type: "demote" }
  /** Everything that was committed before the fence is in the journals. */
  | { readonly type: "demotionCut"; readonly ends: Readonly<Record<string, Position>> }
  /** Nobody could be asked whether another member has begun an epoch, and this one is not to serve before somebody can. */
  | { readonly type: "isolated" }
  /** All databases are writable. */
  | { readonly type: "served" }
  /** Another member has begun an epoch; `continues` when it holds everything that this member, which was demoted, has. */
  | { readonly type: "learned"; readonly epoch: number; readonly member: string; readonly continues?: boolean }
  /** This member reigned up to the epoch, and others have seen more of its reign than its state holds. */
  | { readonly type: "setBack"; readonly epoch: number }
  /** What only this member has is kept, and what is left to do for its copies is recorded in the same step. */
  | { readonly type: "rejoined" };

/** Why an event cannot be followed in a state; the state stays. */
export type Refusal =
  /** Only the operational member can offer its role. */
  | "notOperational"
  /** The role is offered to another already: finish or undo that first. */
  | "offering"
  /** This member reigns, or is about to. */
  | "operational"
  /** This member has not rejoined. */
  | "deposed"
  /** It has given its role up, and does not know yet who has taken it. */
  | "demoted"
  /** A later epoch is known. */
  | "oldEpoch"
  /** Nobody else reigns whom this member could follow. */
  | "setBack";

export type Transition = { readonly next: RoleState } | { readonly refused: Refusal };

/** Whether the databases of a member in this state must refuse writes; undecided while they are being made writable. */
export function isFencedIn(state: RoleState): boolean | null {
  if (state.role === "claimed") return null;
  return state.role !== "operational";
}

/** Whether a member in this state is the operational one as far as it knows, also while its databases are fenced. */
export function reigns({ role }: RoleState): boolean {
  return role === "operational" || role === "offering" || role === "claimed";
}

/** The newest epoch that a member in this state knows of. */
export function knownEpoch(state: RoleState): number {
  return state.role === "deposed" ? state.by : state.epoch;
}

/** The state after `event`. Events that say what is known already, and what no longer matters, change nothing. */
export function transition(state: RoleState, event: RoleEvent): Transition {
  switch (event.type) {
    case "offer":
      return offer(state, event.offer);
    case "offerTaken":
      return { next: state.role === "offering" ? { role: "mirror", epoch: state.offer.epoch } : state };
    case "offerWithdrawn":
      return { next: state.role === "offering" ? { role: "claimed", epoch: state.epoch } : state };
    case "claim":
      return claim(state, event.offer.epoch);
    case "promote":
      return promote(state, event.epoch);
    case "demote":
      return demote(state);
    case "demotionCut":
      return { next: state.role === "demoted" && state.ends === null ? { ...state, ends: event.ends } : state };
    case "isolated":
      return { next: state.role === "operational" ? { role: "claimed", epoch: state.epoch } : state };
    case "served":
      return { next: state.role === "claimed" ? { role: "operational", epoch: state.epoch } : state };
    case "learned":
      return { next: learn(state, event) };
    case "setBack":
      return { next: setBack(state, event.epoch) };
    case "rejoined":
      return rejoin(state);
  }
}

function offer(state: RoleState, made: Offer): Transition {
  if (state.role === "offering") return offerAgain(state, made);
  if (state.role !== "operational") return { refused: "notOperational" };
  return made.epoch > state.epoch
    ? { next: { role: "offering", epoch: state.epoch, offer: made } }
    : { refused: "oldEpoch" };
}

/** What an offer says is decided once. */
function offerAgain(state: RoleState & { readonly role: "offering" }, made: Offer): Transition {
  if (state.offer.id !== made.id) return { refused: "offering" };
  return { next: state.offer.starts === null && made.starts !== null ? { ...state, offer: made } : state };
}

function claim(state: RoleState, epoch: number): Transition {
  if (state.role === "deposed" || state.role === "demoted") return { refused: state.role };
  if (state.role !== "mirror") return state.epoch === epoch ? { next: state } : { refused: "operational" };
  return epoch > state.epoch ? { next: { role: "claimed", epoch } } : { refused: "oldEpoch" };
}

function demote(state: RoleState): Transition {
  if (state.role === "offering") return { refused: "offering" };
  if (state.role === "demoted") return { next: state };
  return state.role === "operational"
    ? { next: { role: "demoted", epoch: state.epoch, ends: null } }
    : { refused: "notOperational" };
}

/** A deposed member may be promoted: an operator has decided that its copy is the right one. So may one that was demoted. */
function promote(state: RoleState, epoch: number): Transition {
  if (state.role === "offering") return { refused: "offering" };
  if (state.role === "operational" || state.role === "claimed") return { refused: "operational" };
  return epoch > knownEpoch(state) ? { next: { role: "claimed", epoch } } : { refused: "oldEpoch" };
}

function learn(state: RoleState, { epoch, member, continues = false }: RoleEvent & { type: "learned" }): RoleState {
  if (epoch <= knownEpoch(state)) return state;
  if (state.role === "mirror" || (state.role === "demoted" && continues)) return { role: "mirror", epoch };
  if (state.role === "offering" && state.offer.epoch === epoch && state.offer.to === member) {
    return { role: "mirror", epoch };
  }
  return { role: "deposed", epoch: state.epoch, by: epoch };
}

/** Its epoch is over: whoever goes on, this member too, begins another one. */
function setBack(state: RoleState, epoch: number): RoleState {
  if (epoch < knownEpoch(state) || (epoch === knownEpoch(state) && !reigns(state))) return state;
  return { role: "deposed", epoch, by: epoch };
}

function rejoin(state: RoleState): Transition {
  if (state.role !== "deposed") return { next: state };
  return state.by === state.epoch ? { refused: "setBack" } : { next: { role: "mirror", epoch: state.by } };
}
