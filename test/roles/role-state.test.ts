import { expect, test } from "vitest";
import { NO_CHECKSUM, toTxid } from "../../src/ltx/position.ts";
import { isFencedIn, type OpenOffer, type RoleEvent, type RoleState, transition } from "../../src/roles/role-state.ts";

function offerOf(id: string, epoch: number): OpenOffer {
  return { id, epoch, from: "lisbon", to: "porto", starts: {} };
}

const OFFER = offerOf("one", 6);

const STATES: readonly RoleState[] = [
  { role: "mirror", epoch: 5 },
  { role: "operational", epoch: 5 },
  { role: "offering", epoch: 5, offer: OFFER },
  { role: "claimed", epoch: 5 },
  { role: "deposed", epoch: 5, by: 6 },
  { role: "deposed", epoch: 5, by: 5 },
  { role: "demoted", epoch: 5, ends: null },
  { role: "demoted", epoch: 5, ends: {} },
];

const EVENTS: Readonly<Record<string, RoleEvent>> = {
  "offer of epoch 6": { type: "offer", offer: OFFER },
  "offer of epoch 6 again, by another switchover": { type: "offer", offer: offerOf("two", 6) },
  "offer of epoch 5": { type: "offer", offer: offerOf("three", 5) },
  "offer taken": { type: "offerTaken" },
  "offer withdrawn": { type: "offerWithdrawn" },
  "claim of epoch 5": { type: "claim", offer: offerOf("three", 5) },
  "claim of epoch 6": { type: "claim", offer: OFFER },
  "promotion to epoch 5": { type: "promote", epoch: 5 },
  "promotion to epoch 6": { type: "promote", epoch: 6 },
  "promotion to epoch 7": { type: "promote", epoch: 7 },
  demote: { type: "demote" },
  "demotion cut": { type: "demotionCut", ends: {} },
  isolated: { type: "isolated" },
  served: { type: "served" },
  "learned of epoch 5": { type: "learned", epoch: 5, member: "porto" },
  "learned of epoch 6 by porto": { type: "learned", epoch: 6, member: "porto" },
  "learned of epoch 6 by faro": { type: "learned", epoch: 6, member: "faro" },
  "learned of epoch 7 by porto": { type: "learned", epoch: 7, member: "porto" },
  "learned of epoch 6 by porto, which continues": { type: "learned", epoch: 6, member: "porto", continues: true },
  "set back in epoch 5": { type: "setBack", epoch: 5 },
  "set back in epoch 7": { type: "setBack", epoch: 7 },
  rejoined: { type: "rejoined" },
};

/** For each event what becomes of each of STATES; `=` is the same state, `!` a refusal. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  "offer of epoch 6": [
    "! notOperational",
    "offering 5",
    "=",
    "! notOperational",
    "! notOperational",
    "! notOperational",
    "! notOperational",
    "! notOperational",
  ],
  "offer of epoch 6 again, by another switchover": [
    "! notOperational",
    "offering 5",
    "! offering",
    "! notOperational",
    "! notOperational",
    "! notOperational",
    "! notOperational",
    "! notOperational",
  ],
  "offer of epoch 5": [
    "! notOperational",
    "! oldEpoch",
    "! offering",
    "! notOperational",
    "! notOperational",
    "! notOperational",
    "! notOperational",
    "! notOperational",
  ],
  "offer taken": ["=", "=", "mirror 6", "=", "=", "=", "=", "="],
  "offer withdrawn": ["=", "=", "claimed 5", "=", "=", "=", "=", "="],
  "claim of epoch 5": ["! oldEpoch", "=", "=", "=", "! deposed", "! deposed", "! demoted", "! demoted"],
  "claim of epoch 6": [
    "claimed 6",
    "! operational",
    "! operational",
    "! operational",
    "! deposed",
    "! deposed",
    "! demoted",
    "! demoted",
  ],
  "promotion to epoch 5": [
    "! oldEpoch",
    "! operational",
    "! offering",
    "! operational",
    "! oldEpoch",
    "! oldEpoch",
    "! oldEpoch",
    "! oldEpoch",
  ],
  "promotion to epoch 6": [
    "claimed 6",
    "! operational",
    "! offering",
    "! operational",
    "! oldEpoch",
    "claimed 6",
    "claimed 6",
    "claimed 6",
  ],
  "promotion to epoch 7": [
    "claimed 7",
    "! operational",
    "! offering",
    "! operational",
    "claimed 7",
    "claimed 7",
    "claimed 7",
    "claimed 7",
  ],
  demote: [
    "! notOperational",
    "demoted 5",
    "! offering",
    "! notOperational",
    "! notOperational",
    "! notOperational",
    "=",
    "=",
  ],
  "demotion cut": ["=", "=", "=", "=", "=", "=", "demoted 5 cut", "="],
  isolated: ["=", "claimed 5", "=", "=", "=", "=", "=", "="],
  served: ["=", "=", "=", "operational 5", "=", "=", "=", "="],
  "learned of epoch 5": ["=", "=", "=", "=", "=", "=", "=", "="],
  "learned of epoch 6 by porto": [
    "mirror 6",
    "deposed 5 by 6",
    "mirror 6",
    "deposed 5 by 6",
    "=",
    "deposed 5 by 6",
    "deposed 5 by 6",
    "deposed 5 by 6",
  ],
  "learned of epoch 6 by faro": [
    "mirror 6",
    "deposed 5 by 6",
    "deposed 5 by 6",
    "deposed 5 by 6",
    "=",
    "deposed 5 by 6",
    "deposed 5 by 6",
    "deposed 5 by 6",
  ],
  "learned of epoch 7 by porto": [
    "mirror 7",
    "deposed 5 by 7",
    "deposed 5 by 7",
    "deposed 5 by 7",
    "deposed 5 by 7",
    "deposed 5 by 7",
    "deposed 5 by 7",
    "deposed 5 by 7",
  ],
  "learned of epoch 6 by porto, which continues": [
    "mirror 6",
    "deposed 5 by 6",
    "mirror 6",
    "deposed 5 by 6",
    "=",
    "deposed 5 by 6",
    "mirror 6",
    "mirror 6",
  ],
  "set back in epoch 5": ["=", "deposed 5 by 5", "deposed 5 by 5", "deposed 5 by 5", "=", "=", "=", "="],
  "set back in epoch 7": [
    "deposed 7 by 7",
    "deposed 7 by 7",
    "deposed 7 by 7",
    "deposed 7 by 7",
    "deposed 7 by 7",
    "deposed 7 by 7",
    "deposed 7 by 7",
    "deposed 7 by 7",
  ],
  rejoined: ["=", "=", "=", "=", "mirror 6", "! setBack", "=", "="],
};

function outcome(state: RoleState, event: RoleEvent): string {
  const result = transition(state, event);
  if ("refused" in result) return `! ${result.refused}`;
  const { next } = result;
  if (next === state) return "=";
  const cut = next.role === "demoted" && next.ends !== null ? " cut" : "";
  return `${next.role} ${next.epoch}${next.role === "deposed" ? ` by ${next.by}` : ""}${cut}`;
}

test("every state answers every event as the table says", () => {
  expect(Object.keys(TABLE)).toEqual(Object.keys(EVENTS));
  const answers = Object.entries(EVENTS).map(([name, event]) => [name, STATES.map((state) => outcome(state, event))]);
  expect(Object.fromEntries(answers)).toEqual(TABLE);
});

test("only a member that reigns has writable databases", () => {
  expect(STATES.map((state) => isFencedIn(state))).toEqual([true, false, true, null, ...Array(4).fill(true)]);
});

test("an offer gets the places where its epoch begins once, and never others", () => {
  const begun = { ...OFFER, starts: null };
  const ended = { ...OFFER, starts: { clinic: { epoch: 5, txid: toTxid(9n), checksum: NO_CHECKSUM } } };
  const operational: RoleState = { role: "operational", epoch: 5 };
  const offering = next(operational, { type: "offer", offer: begun });
  expect(offering).toEqual({ role: "offering", epoch: 5, offer: begun });
  expect(next(offering, { type: "offer", offer: begun })).toBe(offering);
  const complete = next(offering, { type: "offer", offer: ended });
  expect(complete).toEqual({ role: "offering", epoch: 5, offer: ended });
  for (const offer of [begun, OFFER]) expect(next(complete, { type: "offer", offer })).toBe(complete);
});

function next(state: RoleState, event: RoleEvent): RoleState {
  const result = transition(state, event);
  if ("refused" in result) throw new Error(result.refused);
  return result.next;
}
