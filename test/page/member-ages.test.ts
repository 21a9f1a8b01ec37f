import { expect, test } from "vitest";
import { memberAges } from "../../src/page/member-ages.ts";
import { known, lisbonOf, receipts, statusOf } from "./page-facts.ts";

test("a member's own word counts from when it was written", () => {
  const porto = statusOf({}, { receivedStaleSeconds: 2, staleSeconds: 5 });
  expect(memberAges("porto", [known(porto, 0)])).toEqual({ receivedSeconds: 2, integratedSeconds: 5 });
  expect(memberAges("porto", [known(porto, 30)])).toEqual({ receivedSeconds: 32, integratedSeconds: 35 });
  expect(memberAges("porto", [known(porto, null)])).toEqual({ receivedSeconds: null, integratedSeconds: null });
});

test("receipts on the operational member prove more than an old word", () => {
  const porto = known(statusOf({}, { receivedStaleSeconds: 2, staleSeconds: 5 }), 30);
  const level = lisbonOf({ followers: { porto: receipts({ lagSeconds: 3 }) } });
  expect(memberAges("porto", [known(level), porto])).toEqual({ receivedSeconds: 0, integratedSeconds: 3 });
  expect(memberAges("porto", [known(level, 4), porto])).toEqual({ receivedSeconds: 4, integratedSeconds: 7 });
});

test("a mirror's receipts prove what is level with it, and else nothing: it does not know when that was cut", () => {
  const porto = (receipt: object) =>
    known(statusOf({ followers: { faro: receipts({ ...receipt }) } }, { receivedStaleSeconds: 2 }));
  expect(memberAges("faro", [porto({})])).toEqual({ receivedSeconds: 2, integratedSeconds: 2 });
  expect(memberAges("faro", [porto({ unreceivedSeconds: 1, lagSeconds: 1 })])).toEqual({
    receivedSeconds: null,
    integratedSeconds: null,
  });
});

test("one database of which nothing is known leaves the member unproved", () => {
  const porto = statusOf();
  const { shop } = porto.databases;
  if (shop === undefined) throw new Error("no database");
  const databases = { shop, bills: { ...shop, receivedStaleSeconds: null, staleSeconds: 9 } };
  expect(memberAges("porto", [known({ ...porto, databases })])).toEqual({
    receivedSeconds: null,
    integratedSeconds: 9,
  });
  expect(memberAges("porto", [known({ ...porto, databases: {} })]).receivedSeconds).toBeNull();
  const lisbon = lisbonOf();
  const grown = { ...lisbon, databases: { ...lisbon.databases, bills: lisbon.databases.shop ?? shop } };
  expect(memberAges("porto", [known(grown)]).receivedSeconds).toBeNull();
});
