import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { StateStore } from "../../src/journal/state-store.ts";
import { decodeEpoch, type EpochDocument } from "../../src/roles/role-documents.ts";
import type { RoleState } from "../../src/roles/role-state.ts";
import { Pair } from "./pair.ts";

const FIRST: EpochDocument = {
  epoch: 1,
  member: "lisbon",
  reason: "initial",
  startedAt: "2026-03-01T00:00:00.000Z",
  starts: {},
};
const THIRD: EpochDocument = { ...FIRST, epoch: 3, member: "porto", reason: "promotion" };

function remember(pair: Pair, member: string, role: RoleState, epochs: readonly EpochDocument[]): void {
  using store = StateStore.open(join(pair.set.statePath(member), "state.db"), { mirror: "demo", member });
  store.addEpochs(epochs.map(decodeEpoch));
  store.saveRole(role);
}

/** What `whois-operational` says, with nobody running. */
async function whois(pair: Pair) {
  const { code, stdout } = await pair.run("porto", "whois-operational", "--json");
  return { code, answer: JSON.parse(stdout) };
}

test("the member of the highest epoch is operational, whatever a former one takes itself for", async () => {
  const pair = new Pair();
  remember(pair, "lisbon", { role: "operational", epoch: 1 }, [FIRST]);
  remember(pair, "porto", { role: "operational", epoch: 3 }, [FIRST, THIRD]);
  const { code, answer } = await whois(pair);
  expect({ code, answer }).toMatchObject({
    code: 0,
    answer: {
      ...{ mirror: "demo", epoch: 3, operational: "porto", split: false, notAsked: [] },
      claims: [{ member: "porto", by: "state of porto" }],
      outdated: [{ member: "lisbon", epoch: 1 }],
    },
  });
  expect(answer.evidence).toHaveLength(2);
  for (const { ageSeconds } of answer.evidence) expect(ageSeconds).toBeGreaterThanOrEqual(0);
  expect((await pair.run("lisbon", "whois-operational")).stdout).toMatch(
    /^porto is operational in demo, in epoch 3\n(.*\n)+lisbon takes itself for operational in epoch 1/,
  );
}, 60_000);

test("a member out of reach is named; its mailbox answers in place of its state", async () => {
  const pair = new Pair();
  remember(pair, "lisbon", { role: "mirror", epoch: 3 }, [FIRST, THIRD]);
  rmSync(join(pair.set.root, "porto"), { recursive: true });
  const { code, answer } = await whois(pair);
  expect({ code, answer }).toMatchObject({ code: 0, answer: { operational: "porto", epoch: 3 } });
  expect(answer.notAsked).toMatchObject([{ member: "porto", reason: expect.stringContaining("not on this machine") }]);

  const running = new Pair();
  const { child, ended } = running.start("lisbon");
  await running.until("lisbon has a status", () => running.set.status("lisbon") !== null);
  child.kill("SIGTERM");
  await ended;
  const state = running.set.statePath("lisbon");
  renameSync(state, `${state}-elsewhere`);
  const found = await whois(running);
  expect(found).toMatchObject({ code: 0, answer: { operational: "lisbon", epoch: 1 } });
  expect(found.answer.claims).toEqual([{ member: "lisbon", by: "status of lisbon" }]);
  expect(found.answer.notAsked).toMatchObject([{ member: "porto" }]);
}, 60_000);

test("two members in one epoch are told, and end with 5", async () => {
  const pair = new Pair();
  remember(pair, "lisbon", { role: "operational", epoch: 3 }, [FIRST, { ...THIRD, member: "lisbon" }]);
  remember(pair, "porto", { role: "operational", epoch: 3 }, [FIRST, THIRD]);
  expect(await whois(pair)).toMatchObject({ code: 5, answer: { operational: null, epoch: 3, split: true } });
  const { stdout } = await pair.run("porto", "whois-operational");
  expect(stdout).toContain("Epoch 3 of demo is claimed twice, by lisbon and porto");
}, 60_000);

test("an inbox tells of a later epoch, but not whose it is; with nothing at all nobody is named", async () => {
  const pair = new Pair();
  expect(await whois(pair)).toMatchObject({ code: 6, answer: { operational: null, epoch: null, evidence: [] } });
  remember(pair, "porto", { role: "mirror", epoch: 1 }, [FIRST]);
  mkdirSync(join(pair.set.root, "porto", "mailbox", "inbox", "shop", "0000000000000004"), { recursive: true });
  writeFileSync(join(pair.set.root, "porto", "mailbox", "inbox", "_lease.json"), "torn");
  const { code, answer } = await whois(pair);
  expect({ code, answer }).toMatchObject({ code: 6, answer: { operational: null, epoch: 4, claims: [] } });
  expect(answer.evidence).toMatchObject([
    { source: "state", of: "porto", epoch: 1, operational: "lisbon" },
    { source: "inbox", of: "porto", epoch: 4, operational: null },
  ]);
}, 60_000);
