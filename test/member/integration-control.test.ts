/** Pauses, delays and stops of a mirror's integration, step by step in the test's own process. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import { formatTxid, parseTxid, type Txid, toTxid } from "../../src/ltx/position.ts";
import type { Member } from "../../src/member/member.ts";
import { deliverTo, type JournalFile, journalFiles } from "../support/arrivals.ts";
import { addVisits, createClinic } from "../support/members.ts";
import { openSetMember, type SetMemberOptions, type SetShape, setDatabasePath } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SHAPE: SetShape = { mirror: "clinic", databases: ["patients", "lab"], members: ["lisbon", "porto"] };
const MINUTE_MS = 60_000;
const START_MS = Date.parse("2026-03-01T12:00:00Z");
const SEGMENTS = 8;
/** The mirror's clock is wrong by a day. */
const MIRROR_START_MS = START_MS - 86_400_000;

/** A snapshot and segments of each database, one a minute and two transactions long. */
interface Source {
  readonly root: string;
  readonly files: ReadonlyMap<string, readonly JournalFile[]>;
}

async function makeSource(): Promise<Source> {
  const root = temporaryDirectory();
  let nowMs = START_MS;
  await using lisbon = await openSetMember(root, "lisbon", SHAPE, { nowMs: () => nowMs });
  const databases = SHAPE.databases.map((name) => createClinic(setDatabasePath(root, "lisbon", name)));
  for (let i = 0; i <= SEGMENTS; i++) {
    for (const database of databases) addVisits(database, 2);
    await lisbon.rotate();
    nowMs += MINUTE_MS;
  }
  for (const database of databases) database.close();
  const files = new Map<string, readonly JournalFile[]>();
  for (const name of SHAPE.databases) files.set(name, await journalFiles(lisbon, name));
  return { root, files };
}

function lastTxid(file: JournalFile): Txid {
  return parseTxid(file.name.slice(17, 33)) ?? toTxid(0n);
}

interface Arrived {
  readonly txid: Txid;
  readonly cutAtMs: number;
  readonly arrivedAtMs: number;
}

/** What the model says of one database. */
interface Expected {
  paused: boolean;
  until: { readonly txid: Txid } | { readonly timeMs: number } | null;
  /** Of the source's files. */
  delivered: number;
  readonly arrived: Arrived[];
  integrated: Txid | null;
}

/** A mirror beside a model of it: what may be integrated is worked out segment by segment. */
class Modelled {
  readonly #source: Source;
  readonly #root = temporaryDirectory();
  readonly #expected = new Map<string, Expected>();
  #member: Member | null = null;
  #delayMs = 0;
  nowMs = MIRROR_START_MS;

  constructor(source: Source) {
    this.#source = source;
    for (const name of SHAPE.databases) {
      this.#expected.set(name, { paused: false, until: null, delivered: 0, arrived: [], integrated: null });
    }
  }

  get member(): Member {
    if (this.#member === null) throw new Error("the mirror is not open");
    return this.#member;
  }

  async open(delayMs: number): Promise<void> {
    await this.close();
    this.#delayMs = delayMs;
    const options: SetMemberOptions = { nowMs: () => this.nowMs, keys: { delay: `${delayMs}ms` } };
    this.#member = await openSetMember(this.#root, "porto", SHAPE, options);
  }

  async close(): Promise<void> {
    await this.#member?.close();
    this.#member = null;
  }

  expected(name: string): Expected {
    const expected = this.#expected.get(name);
    if (expected === undefined) throw new Error(`there is no database ${name}`);
    return expected;
  }

  deliver(name: string, count: number): void {
    const { delivered } = this.expected(name);
    const next = this.#source.files.get(name)?.slice(delivered, delivered + count) ?? [];
    for (const file of next) deliverTo(this.#root, "porto", file);
    this.expected(name).delivered += next.length;
  }

  /** Sets the clock to when the delay of the next segment ends, or so many milliseconds before. */
  waitForEdge(name: string, beforeMs: number): void {
    const { arrived, integrated } = this.expected(name);
    const next = arrived.find(({ txid }) => txid > (integrated ?? 0n));
    if (next !== undefined) this.nowMs = Math.max(this.nowMs, next.arrivedAtMs + this.#delayMs - beforeMs);
  }

  /** One turn of the daemon's job, or `integrate`. */
  async turn(name: string, how: "poll" | "integrate" | "now"): Promise<void> {
    if (how === "poll") await this.member.mirrors.get(name)?.poll(null);
    else await this.member.integrate([name], { now: how === "now" });
    const expected = this.expected(name);
    const files = this.#source.files.get(name)?.slice(expected.arrived.length, expected.delivered) ?? [];
    for (const file of files) {
      const cutAtMs = START_MS + expected.arrived.length * MINUTE_MS;
      expected.arrived.push({ txid: lastTxid(file), cutAtMs, arrivedAtMs: this.nowMs });
    }
    this.#advance(expected, how === "now" ? 0 : this.#delayMs);
    this.check(name);
  }

  #advance(expected: Expected, delayMs: number): void {
    for (const { txid, cutAtMs, arrivedAtMs } of expected.arrived) {
      if (txid <= (expected.integrated ?? 0n)) continue;
      const isFirst = expected.integrated === null;
      const { until, paused } = expected;
      const isBeyond = until !== null && ("txid" in until ? txid > until.txid : cutAtMs > until.timeMs);
      if (paused || isBeyond || (!isFirst && arrivedAtMs > this.nowMs - delayMs)) return;
      expected.integrated = txid;
    }
  }

  /** The state, status and the file itself are where the model is. */
  check(name: string): void {
    const { integrated, paused } = this.expected(name);
    const status = this.member.ownStatus().databases[name];
    expect({ name, at: status?.integrated?.txid ?? null, paused: status?.paused, error: status?.error }).toEqual({
      name,
      at: integrated === null ? null : formatTxid(integrated),
      paused,
      error: null,
    });
  }

  async finish(): Promise<void> {
    await this.member.resume();
    for (const name of SHAPE.databases) {
      Object.assign(this.expected(name), { paused: false, until: null });
      this.deliver(name, SEGMENTS + 1);
      await this.turn(name, "poll");
    }
    this.nowMs += this.#delayMs;
    for (const name of SHAPE.databases) {
      await this.turn(name, "poll");
      expect(this.expected(name).integrated).toBe(lastTxid(this.#source.files.get(name)?.at(-1) as JournalFile));
      expect(this.member.ownStatus().databases[name]).toMatchObject({ hold: null, lagTransactions: 0 });
    }
    expect((await this.member.verify()).every(({ ok }) => ok)).toBe(true);
    await this.close();
    for (const name of SHAPE.databases) {
      const [original, copy] = [this.#source.root, this.#root].map((root, i) =>
        setDatabasePath(root, SHAPE.members[i] ?? "", name),
      );
      if (original === undefined || copy === undefined) throw new Error("no paths");
      for (const path of [original, copy]) settleDatabase(path);
      expect(compareDatabases(original, copy)).toMatchObject({ identical: true });
    }
  }
}

type Order =
  | { readonly kind: "deliver"; readonly name: string; readonly count: number }
  | { readonly kind: "turn"; readonly name: string; readonly how: "poll" | "integrate" | "now" }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "edge"; readonly name: string; readonly ms: number }
  | { readonly kind: "pause" | "resume"; readonly names: readonly string[] | undefined }
  | {
      readonly kind: "until";
      readonly name: string;
      readonly segment: number;
      readonly more: number;
      readonly by: "txid" | "time";
    }
  | { readonly kind: "reopen"; readonly delayMs: number };

const name = fc.constantFrom(...SHAPE.databases);
const names = fc.oneof(
  fc.constant(undefined),
  name.map((each) => [each]),
);
const order: fc.Arbitrary<Order> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("deliver" as const), name, count: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("turn" as const),
      name,
      how: fc.constantFrom("poll" as const, "poll" as const, "integrate" as const, "now" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, MINUTE_MS, 5 * MINUTE_MS) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("edge" as const), name, ms: fc.nat({ max: 1 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("pause" as const, "resume" as const), names }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("until" as const),
      name,
      segment: fc.nat({ max: SEGMENTS }),
      more: fc.nat({ max: 1 }),
      by: fc.constantFrom("txid" as const, "time" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("reopen" as const),
      delayMs: fc.constantFrom(0, MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS),
    }),
  },
);

async function carryOut(mirror: Modelled, source: Source, given: Order): Promise<void> {
  switch (given.kind) {
    case "deliver":
      return mirror.deliver(given.name, given.count);
    case "turn":
      return await mirror.turn(given.name, given.how);
    case "wait":
      mirror.nowMs += given.ms;
      return;
    case "edge":
      return mirror.waitForEdge(given.name, given.ms);
    case "reopen":
      return await mirror.open(given.delayMs);
    case "pause":
    case "resume":
      await mirror.member[given.kind](given.names);
      for (const each of given.names ?? SHAPE.databases)
        Object.assign(mirror.expected(each), { paused: given.kind === "pause", until: null });
      return;
    case "until": {
      const expected = mirror.expected(given.name);
      const end = lastTxid(source.files.get(given.name)?.[given.segment] as JournalFile);
      // Also within the next segment, which is never divided.
      const txid = toTxid(end + BigInt(given.more));
      const timeMs = START_MS + given.segment * MINUTE_MS + given.more;
      const until = given.by === "txid" ? formatTxid(txid) : new Date(timeMs).toISOString();
      const resumed = mirror.member.resume([given.name], { until });
      const isPassed = (expected.integrated ?? 0n) > (given.by === "txid" ? txid : end);
      if (isPassed) {
        await expect(resumed).rejects.toMatchObject({ code: "UNTIL_PASSED" });
      } else {
        await resumed;
        Object.assign(expected, { paused: false, until: given.by === "txid" ? { txid } : { timeMs } });
      }
      return;
    }
    default: {
      const never: never = given;
      return never;
    }
  }
}

test("whatever is ordered, a mirror integrates just what may be, and is level once all is lifted", async () => {
  const source = await makeSource();
  const seed = Number(process.env.AFTERIMAGE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`AFTERIMAGE_SEED=${seed}`);
  const property = fc.asyncProperty(fc.array(order, { minLength: 5, maxLength: 40 }), async (orders) => {
    const mirror = new Modelled(source);
    try {
      await mirror.open(0);
      for (const each of orders) {
        await carryOut(mirror, source, each);
        for (const each of SHAPE.databases) mirror.check(each);
      }
      await mirror.finish();
    } finally {
      await mirror.close();
    }
  });
  await fc.assert(property, { numRuns: 40, seed, endOnFailure: true });
}, 180_000);
