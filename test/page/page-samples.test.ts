import { expect, test } from "vitest";
import { Tally } from "../../src/metrics/tally.ts";
import { PageSamples } from "../../src/page/page-samples.ts";
import { known, lisbonOf, receipts, statusOf } from "./page-facts.ts";

const HOUR_MS = 3_600_000;
const position = (txid: number) => ({
  ...{ epoch: 1, checksum: "8000000000000000", time: "2026-03-01T12:00:00.000Z" },
  txid: txid.toString(16).padStart(16, "0"),
});

/** lisbon at a transaction, and what porto has received of it by its receipt and by its own word. */
function at(txid: number, receipt: number, word: number) {
  const { txid: received } = position(receipt);
  return [
    known(lisbonOf({ followers: { porto: receipts({ received }) } }, { received: position(txid) })),
    known(statusOf({}, { received: position(word) })),
  ];
}

test("rates are what has grown between two samples, and the flow to a member what it has received", () => {
  const samples = new PageSamples("lisbon");
  const tally = new Tally();
  samples.take({ known: at(100, 100, 90), tally, nowMs: 0 });
  expect(samples.flows.transactions.size).toBe(0);
  tally.addFiles("cut", "shop", 5_000, 20);
  tally.addFiles("shipped", "porto", 3_000, 12);
  samples.take({ known: at(300, 250, 90), tally, nowMs: 10_000 });
  expect(Object.fromEntries(samples.flows.transactions)).toEqual({ lisbon: 20, porto: 15 });
  expect(Object.fromEntries(samples.flows.bytes)).toEqual({ porto: 300, lisbon: 500 });
  const { rates, received } = samples.history(["porto"], HOUR_MS, 10_000);
  const lastOf = (values: readonly (number | null)[]) => values.at(-1);
  expect(Object.entries(rates).map(([name, values]) => [name, lastOf(values)])).toEqual([
    ["transactions", 20],
    ["segments", 2],
    ["bytes", 500],
    ["shipped", 300],
  ]);
  expect(received.porto?.slice(-2)).toEqual([0, 0]);
});

test("a database that is new, and a clock that is set back, make no rates", () => {
  const samples = new PageSamples("lisbon");
  const tally = new Tally();
  samples.take({ known: [known(lisbonOf({ databases: {}, followers: {} }))], tally, nowMs: 20_000 });
  samples.take({ known: at(1_000_000, 1_000_000, 1), tally, nowMs: 30_000 });
  expect(samples.flows.transactions.get("lisbon")).toBe(0);
  const before = samples.flows;
  samples.take({ known: at(1_000_500, 1_000_500, 1), tally, nowMs: 5_000 });
  expect(samples.flows).toBe(before);
});
