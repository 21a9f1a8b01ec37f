/**
 * The hand-over of roles as a model: three members with durable states and mailboxes, whose steps come in any order,
 * with crashes between any two of them. Only transition() is the real one; the rest is what docs/STATES.md asks of drivers.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { nextEpoch } from "../../src/roles/epoch-history.ts";
import {
  isFencedIn,
  knownEpoch,
  type OpenOffer,
  type RoleEvent,
  type RoleState,
  transition,
} from "../../src/roles/role-state.ts";

const NAMES = ["lisbon", "porto", "faro"] as const;
type Name = (typeof NAMES)[number];

interface ModelMember {
  readonly name: Name;
  state: RoleState;
  up: boolean;
  /** What its status says of an offer. */
  says: { readonly id: string; readonly state: "preparing" | "offered" | "withdrawing" } | null;
  /** On their way into its mailbox: an attempt of which the outcome is not known may be repeated. */
  late: OpenOffer[];
  /** In its mailbox: written by the offering member, taken away by this one or by the offering one. */
  offered: OpenOffer | null;
  /** In its mailbox, under the name that only this member gives. */
  taken: OpenOffer | null;
}

type Step =
  | { readonly kind: "switchover"; readonly from: Name; readonly to: Name }
  | { readonly kind: "promote"; readonly at: Name }
  | {
      readonly kind:
        | "prepare"
        | "deliver"
        | "publish"
        | "withdraw"
        | "take"
        | "record"
        | "serve"
        | "crash"
        | "start"
        | "rejoin"
        | "demote";
      readonly at: Name;
    }
  /** Whether what reigns now has everything that a demoted member has, decides what becomes of that one. */
  | { readonly kind: "look"; readonly at: Name; readonly to: Name; readonly continues?: boolean };

class World {
  readonly members: Readonly<Record<Name, ModelMember>>;
  readonly reigns = new Map<number, Set<Name>>();
  #offers = 0;

  constructor() {
    const member = (name: Name, role: "operational" | "mirror"): ModelMember => ({
      name,
      state: { role, epoch: 1 },
      up: true,
      says: null,
      late: [],
      offered: null,
      taken: null,
    });
    this.members = {
      lisbon: member("lisbon", "operational"),
      porto: member("porto", "mirror"),
      faro: member("faro", "mirror"),
    };
  }

  take(step: Step): void {
    const member = step.kind === "switchover" ? this.members[step.from] : this.members[step.at];
    if (step.kind === "start") member.up = true;
    if (!member.up) return;
    const { state } = member;
    switch (step.kind) {
      case "switchover": {
        const epoch = nextEpoch(knownEpoch(state), step.to, NAMES);
        const offer = { id: String(this.#offers++), epoch, from: step.from, to: step.to, starts: null };
        if (step.from !== step.to) this.#apply(member, { type: "offer", offer });
        return;
      }
      case "promote":
        this.#apply(member, { type: "promote", epoch: nextEpoch(knownEpoch(state), step.at, NAMES) });
        return;
      case "prepare":
        if (state.role === "offering") this.#apply(member, { type: "offer", offer: { ...state.offer, starts: {} } });
        return;
      case "publish":
        this.#publish(member);
        return;
      case "deliver":
        member.offered = member.late.shift() ?? member.offered;
        return;
      case "withdraw":
        this.#withdraw(member);
        return;
      case "take":
        this.#takeOffer(member);
        return;
      case "record":
        this.#record(member);
        return;
      case "serve":
        this.#apply(member, { type: "served" });
        return;
      case "rejoin":
        this.#apply(member, { type: "rejoined" });
        return;
      case "demote":
        this.#apply(member, { type: "demote" });
        this.#apply(member, { type: "demotionCut", ends: {} });
        return;
      case "crash":
        member.up = false;
        return;
      case "look":
        this.#look(member, this.members[step.to], step.continues ?? false);
    }
  }

  /** Says first that it may be taken; repeatable, and an attempt may arrive at any later time. */
  #publish(member: ModelMember): void {
    const { state } = member;
    if (state.role !== "offering" || state.offer.starts === null || member.says?.state === "withdrawing") return;
    const { offer } = state;
    member.says = { id: offer.id, state: "offered" };
    const target = this.members[offer.to as Name];
    if (target.offered?.id !== offer.id && target.taken?.id !== offer.id)
      target.late.push({ ...offer, starts: offer.starts ?? {} });
  }

  /** Says so first, then removes the file; what was taken by then cannot be withdrawn. */
  #withdraw(member: ModelMember): void {
    const { state } = member;
    if (state.role !== "offering") return;
    const target = this.members[state.offer.to as Name];
    member.says = { id: state.offer.id, state: "withdrawing" };
    if (target.offered?.id === state.offer.id) target.offered = null;
    if (target.taken?.id !== state.offer.id) this.#apply(member, { type: "offerWithdrawn" });
  }

  #takeOffer(member: ModelMember): void {
    const { offered } = member;
    if (offered === null || "refused" in transition(member.state, { type: "claim", offer: offered })) return;
    member.offered = null;
    member.taken = offered;
  }

  /** Asks once more whether it may be taken: what came late may have been withdrawn before it was taken. */
  #record(member: ModelMember): void {
    const { taken, state } = member;
    if (taken === null || knownEpoch(state) >= taken.epoch) return;
    const { says } = this.members[taken.from as Name];
    if (says?.id === taken.id && says.state === "offered") this.#apply(member, { type: "claim", offer: taken });
    else member.taken = null;
  }

  /** Reads the other's status. */
  #look(member: ModelMember, other: ModelMember, continues: boolean): void {
    const { state } = other;
    if (state.role === "mirror" || state.role === "deposed") return;
    if (
      member.state.role === "offering" &&
      other.name === member.state.offer.to &&
      state.epoch === member.state.offer.epoch
    ) {
      this.#apply(member, { type: "offerTaken" });
    } else if (other !== member) {
      this.#apply(member, { type: "learned", epoch: state.epoch, member: other.name, continues });
    }
  }

  #apply(member: ModelMember, event: RoleEvent): void {
    const result = transition(member.state, event);
    if ("refused" in result) return;
    member.state = result.next;
    if (member.state.role !== "offering") member.says = null;
    if (member.state.role !== "claimed" && member.state.role !== "operational") return;
    const reigning = this.reigns.get(member.state.epoch) ?? new Set();
    this.reigns.set(member.state.epoch, reigning.add(member.name));
  }

  get writable(): Name[] {
    return NAMES.filter((name) => isFencedIn(this.members[name].state) !== true);
  }

  /** Everybody runs, and does what is left to do; an offer that nobody takes then is withdrawn, as after a time limit. */
  settle(): void {
    for (const last of [[], ["withdraw"], []] as const) {
      for (let round = 0; round < 4; round++) {
        for (const at of NAMES) {
          for (const kind of ["start", "prepare", "publish", "deliver", "take", "record", "serve", ...last] as const)
            this.take({ kind, at });
          for (const to of NAMES) this.take({ kind: "look", at, to });
        }
      }
    }
  }
}

function isDemotedIn(state: RoleState, epoch: number): boolean {
  return state.role === "demoted" && state.epoch === epoch;
}

const name = fc.constantFrom(...NAMES);
const ordinary = fc.oneof(
  fc.record({ kind: fc.constant("switchover" as const), from: name, to: name }),
  fc.record({
    kind: fc.constantFrom(
      "prepare",
      "publish",
      "deliver",
      "withdraw",
      "take",
      "record",
      "serve",
      "crash",
      "start",
      "rejoin",
    ),
    at: name,
  }),
  fc.record({ kind: fc.constant("look" as const), at: name, to: name, continues: fc.boolean() }),
);
const demotion = fc.record({ kind: fc.constant("demote" as const), at: name });
const forced = fc.record({ kind: fc.constant("promote" as const), at: name });

test("without a promotion no two members are ever writable at once, and in the end exactly one is", () => {
  fc.assert(
    fc.property(fc.array(ordinary, { maxLength: 80 }), (steps) => {
      const world = new World();
      for (const step of steps) {
        world.take(step);
        expect(world.writable.length).toBeLessThanOrEqual(1);
      }
      world.settle();
      expect(world.writable).toHaveLength(1);
    }),
    { numRuns: 5_000 },
  );
});

test("after a demotion nobody is writable until somebody is promoted, and the demoted member may be that", () => {
  fc.assert(
    fc.property(
      fc.array(ordinary, { maxLength: 40 }),
      fc.array(ordinary, { maxLength: 40 }),
      name,
      (before, after, at) => {
        const world = new World();
        for (const step of before) world.take(step);
        world.settle();
        const [reigning = at] = world.writable;
        world.take({ kind: "demote", at: reigning });
        for (const step of after) {
          world.take(step);
          expect(world.writable).toEqual([]);
        }
        world.settle();
        expect(world.writable).toEqual([]);
        world.take({ kind: "promote", at });
        world.settle();
        expect(world.writable).toHaveLength(1);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("whoever is promoted, no epoch has two reigns, and the members that meet end with one that is writable or demoted", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          { weight: 10, arbitrary: ordinary },
          { weight: 2, arbitrary: forced },
          { weight: 1, arbitrary: demotion },
        ),
        { maxLength: 80 },
      ),
      (steps) => {
        const world = new World();
        for (const step of steps) world.take(step);
        world.settle();
        for (const [epoch, members] of world.reigns) expect([epoch, members.size]).toEqual([epoch, 1]);
        const highest = Math.max(...NAMES.map((each) => knownEpoch(world.members[each].state)));
        const demoted = NAMES.filter((each) => isDemotedIn(world.members[each].state, highest));
        expect([...world.writable, ...demoted]).toHaveLength(1);
      },
    ),
    { numRuns: 5_000 },
  );
});
