/** Takes the samples that the page's charts and the flow in its picture are drawn from. */

import { parseTxid } from "../ltx/position.ts";
import type { Tally } from "../metrics/tally.ts";
import { type KnownMember, memberAges } from "./member-ages.ts";
import type { PageHistory, RateName } from "./page-view.ts";
import { SampleRing, type SampleWindow } from "./sample-ring.ts";

export interface SampledFacts {
  /** The member that answers is among them. */
  readonly known: readonly KnownMember[];
  readonly tally: Tally;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** A second, by member, between the last two samples. */
export interface Flows {
  /** Transactions that have come into its journal. */
  readonly transactions: ReadonlyMap<string, number>;
  /** Bytes that the member that answers has shipped to it; of that member itself, bytes that have come into its journal. */
  readonly bytes: ReadonlyMap<string, number>;
}

/** What only grows, as it was at one time. */
interface Totals {
  readonly nowMs: number;
  /** By member and database, the last transaction that it has received. */
  readonly txids: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly segments: number;
  readonly bytes: number;
  readonly shippedBytes: ReadonlyMap<string, number>;
}

export class PageSamples {
  readonly #self: string;
  readonly #ring = new SampleRing();
  #before: Totals | null = null;
  #flows: Flows = { transactions: new Map(), bytes: new Map() };

  /** @param self the name of the member that answers. */
  constructor(self: string) {
    this.#self = self;
  }

  get flows(): Flows {
    return this.#flows;
  }

  take(facts: SampledFacts): void {
    const { known, nowMs } = facts;
    const [before, now] = [this.#before, totalsOf(facts)];
    this.#before = now;
    const values = new Map<string, number | null>();
    for (const { status } of known) {
      const ages = memberAges(status.member, known);
      values.set(`received ${status.member}`, ages.receivedSeconds);
      values.set(`integrated ${status.member}`, ages.integratedSeconds);
    }
    if (before !== null && nowMs > before.nowMs)
      for (const [name, rate] of this.#rates(before, now)) values.set(name, rate);
    this.#ring.add(nowMs, values);
  }

  /** The last `spanMs`, of these members. */
  history(members: readonly string[], spanMs: number, nowMs: number): PageHistory {
    const window = this.#ring.window(spanMs, nowMs);
    return {
      startMs: window.startMs,
      stepMs: window.stepMs,
      received: seriesOf(window, "received", members),
      integrated: seriesOf(window, "integrated", members),
      rates: {
        transactions: window.series("transactions", "mean"),
        segments: window.series("segments", "mean"),
        bytes: window.series("bytes", "mean"),
        shipped: window.series("shipped", "mean"),
      },
    };
  }

  #rates(before: Totals, now: Totals): Map<RateName, number> {
    const seconds = (now.nowMs - before.nowMs) / 1000;
    const rate = (from: number, to: number) => Math.max(0, to - from) / seconds;
    const transactions = new Map(
      [...now.txids].map(([member, txids]) => [member, grown(before.txids.get(member), txids) / seconds]),
    );
    const shipped = [...now.shippedBytes].map(([follower, bytes]): [string, number] => [
      follower,
      rate(before.shippedBytes.get(follower) ?? 0, bytes),
    ]);
    const bytes = rate(before.bytes, now.bytes);
    this.#flows = { transactions, bytes: new Map([...shipped, [this.#self, bytes]]) };
    return new Map([
      ["transactions", transactions.get(this.#self) ?? 0],
      ["segments", rate(before.segments, now.segments)],
      ["bytes", bytes],
      ["shipped", shipped.reduce((sum, [, each]) => sum + each, 0)],
    ]);
  }
}

function seriesOf(window: SampleWindow, kind: string, members: readonly string[]) {
  return Object.fromEntries(members.map((member) => [member, window.series(`${kind} ${member}`, "most")]));
}

function totalsOf({ known, tally, nowMs }: SampledFacts): Totals {
  const txids = new Map<string, Map<string, number>>();
  const note = (member: string, database: string, txid: string | null | undefined) => {
    const reached = Number((txid == null ? null : parseTxid(txid)) ?? 0);
    const of = txids.get(member) ?? new Map<string, number>();
    txids.set(member, of.set(database, Math.max(of.get(database) ?? 0, reached)));
  };
  for (const { status } of known) {
    for (const [name, { received }] of Object.entries(status.databases)) note(status.member, name, received?.txid);
    for (const [follower, { databases }] of Object.entries(status.followers))
      for (const [name, { received }] of Object.entries(databases)) note(follower, name, received);
  }
  const sum = (name: "cutFiles" | "receivedFiles" | "cutBytes" | "receivedBytes") =>
    [...tally.of(name).values()].reduce((total, count) => total + count, 0);
  return {
    ...{ nowMs, txids },
    segments: sum("cutFiles") + sum("receivedFiles"),
    bytes: sum("cutBytes") + sum("receivedBytes"),
    shippedBytes: new Map(tally.of("shippedBytes")),
  };
}

/** Of databases that were there before: the first look at one says nothing of how fast it grows. */
function grown(before: ReadonlyMap<string, number> | undefined, now: ReadonlyMap<string, number>): number {
  let transactions = 0;
  for (const [database, txid] of now) {
    const former = before?.get(database) ?? 0;
    if (former > 0) transactions += Math.max(0, txid - former);
  }
  return transactions;
}
