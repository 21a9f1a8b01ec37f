import { expect, test } from "vitest";
import type { EpochDocument } from "../../src/roles/role-documents.ts";
import { type ReignEvidence, reignVerdict } from "../../src/runbook/reign-verdict.ts";

const AT = "2026-03-02T03:14:15.000Z";
const THIRD: EpochDocument = { epoch: 3, member: "porto", reason: "promotion", startedAt: AT, starts: {} };

function says(of: string, more: Partial<ReignEvidence>): ReignEvidence {
  const history = more.history ?? [];
  const operational = history.at(-1)?.member ?? null;
  const facts = { epoch: 1, operational, reigned: null, demoted: false, observedAt: AT, ageSeconds: 1 };
  const base = { source: "state" as const, of, ...facts };
  return { ...base, history, ...more };
}

test("one member that began the epoch from two positions claims it twice", () => {
  const other = { ...THIRD, starts: { shop: "1:0000000000000007:8000000000000001" } };
  const verdict = reignVerdict([
    says("lisbon", { epoch: 3, history: [THIRD] }),
    says("porto", { epoch: 3, history: [other] }),
  ]);
  expect(verdict).toMatchObject({ epoch: 3, operational: null, split: true });
});

test("a member that reigns in an epoch that another one's history gives to somebody else claims it too", () => {
  const verdict = reignVerdict([
    says("lisbon", { epoch: 3, history: [THIRD] }),
    says("faro", { source: "status", epoch: 3, reigned: 3 }),
  ]);
  expect(verdict).toMatchObject({ split: true, operational: null });
  expect(verdict.claims).toEqual([
    { member: "porto", by: "state of lisbon" },
    { member: "faro", by: "status of faro" },
  ]);
});

test("what a member's status says of its role gives way to its state", () => {
  const status = says("lisbon", { source: "status", epoch: 1, reigned: 1 });
  const porto = says("porto", { epoch: 3, reigned: 3, history: [THIRD] });
  expect(reignVerdict([status, porto]).outdated).toEqual([{ member: "lisbon", epoch: 1 }]);
  const state = says("lisbon", { epoch: 3, history: [THIRD] });
  expect(reignVerdict([status, state, porto])).toMatchObject({ operational: "porto", split: false, outdated: [] });
});

test("a former epoch that was begun twice does not matter to the highest one", () => {
  const fifth = { ...THIRD, epoch: 5, member: "faro" };
  const verdict = reignVerdict([
    says("porto", { epoch: 3, reigned: 3, history: [THIRD] }),
    says("lisbon", { epoch: 3, reigned: 3, history: [{ ...THIRD, member: "lisbon" }] }),
    says("faro", { epoch: 5, reigned: 5, history: [fifth] }),
  ]);
  expect(verdict).toMatchObject({ epoch: 5, operational: "faro", split: false });
  expect(verdict.outdated.map(({ member }) => member)).toEqual(["porto", "lisbon"]);
});

test("nobody reigns in an epoch whose operational member has given its role up; a later epoch matters more", () => {
  const lisbon = says("lisbon", { operational: "lisbon", demoted: true });
  const faro = says("faro", { operational: "lisbon" });
  expect(reignVerdict([lisbon, faro])).toMatchObject({ epoch: 1, operational: null, demoted: "lisbon", split: false });
  const porto = says("porto", { epoch: 3, operational: "porto", reigned: 3, history: [THIRD] });
  expect(reignVerdict([lisbon, faro, porto])).toMatchObject({ epoch: 3, operational: "porto", demoted: null });
});
