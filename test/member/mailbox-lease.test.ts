import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatLease, LEASE_FILE, type LeaseRecord, parseLease } from "../../src/member/lease-record.ts";
import { type LeaseOptions, MailboxLease, RENEWAL_MS, SILENCE_MS } from "../../src/member/mailbox-lease.ts";
import { DirectoryTransport } from "../../src/transport/directory-transport.ts";
import { ANSWER_MS, LeaseWorld, QUANTUM_MS } from "../support/lease-world.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const OWNER = { mirror: "clinic", member: "lisbon", epoch: 2, instance: "a" } as const;
const OTHER: LeaseRecord = {
  version: 1,
  ...OWNER,
  member: "faro",
  instance: "b",
  session: "other",
  renewal: 7,
  released: false,
};

type Action =
  | { readonly kind: "start" | "crash" | "pause" | "answer"; readonly shipper: number }
  | { readonly kind: "clone"; readonly shipper: number; readonly from: number }
  | { readonly kind: "clock"; readonly quanta: number }
  | { readonly kind: "arrive" };

function actionsFor(shippers: number): fc.Arbitrary<Action[]> {
  const shipper = fc.nat(shippers - 1);
  const action = fc.oneof<fc.WeightedArbitrary<Action>[]>(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("answer"), shipper }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("start"), shipper }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("crash", "pause"), shipper }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("clone"), shipper, from: shipper }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("clock"), quanta: fc.integer({ min: 1, max: 30 }) }) },
    { weight: 1, arbitrary: fc.constant({ kind: "arrive" }) },
  );
  return fc.array(action, { minLength: 20, maxLength: 150, size: "max" });
}

const histories = fc
  .array(fc.integer({ min: 1, max: 2 }), { minLength: 2, maxLength: 3 })
  .chain((epochs) => fc.record({ epochs: fc.constant(epochs), actions: actionsFor(epochs.length) }));

/** How long two of them have shipped side by side without a break; the most of it. */
class Overlap {
  readonly #runs = new Map<string, number>();
  mostMs = 0;
  shippedMs = 0;

  async pass(world: LeaseWorld): Promise<void> {
    await world.pass();
    world.shippers.forEach((a, i) => {
      if (a.ships) this.shippedMs += QUANTUM_MS;
      world.shippers.slice(i + 1).forEach((b, j) => {
        const run = a.ships && b.ships ? (this.#runs.get(`${i} ${j}`) ?? 0) + QUANTUM_MS : 0;
        this.#runs.set(`${i} ${j}`, run);
        this.mostMs = Math.max(this.mostMs, run);
      });
    });
  }
}

async function act(world: LeaseWorld, action: Action, overlap: Overlap): Promise<void> {
  if (action.kind === "arrive") return await world.arrive();
  if (action.kind === "clock") {
    for (let i = 0; i < action.quanta; i++) await overlap.pass(world);
    return;
  }
  const shipper = world.shippers[action.shipper];
  if (action.kind === "clone") {
    const from = world.shippers[action.from];
    if (from !== undefined) shipper?.cloneFrom(from);
  } else {
    await shipper?.[action.kind]();
  }
}

test("no two shippers go on together for longer than a renewal period, and one that is alone gets the lease", async () => {
  let shippedMs = 0;
  let together = 0;
  await fc.assert(
    fc.asyncProperty(histories, async ({ epochs, actions }) => {
      const world = new LeaseWorld(epochs);
      const overlap = new Overlap();
      for (const action of actions) await act(world, action, overlap);
      expect(overlap.mostMs).toBeLessThanOrEqual(RENEWAL_MS + ANSWER_MS + 2 * QUANTUM_MS);
      shippedMs += overlap.shippedMs;
      if (overlap.mostMs > 0) together++;

      const [alone] = [...world.shippers].sort((a, b) => b.epoch - a.epoch);
      for (const shipper of world.shippers) shipper.crash();

      while (world.onTheirWay.length > 0) await world.arrive();
      alone?.start();
      const until = world.nowMs + SILENCE_MS + RENEWAL_MS;
      while (world.nowMs < until && alone?.ships !== true) await overlap.pass(world);
      expect(alone?.ships).toBe(true);
    }),
    { numRuns: 1_000 },
  );
  // Otherwise nothing would have been shown.
  expect(shippedMs).toBeGreaterThan(0);
  expect(together).toBeGreaterThan(0);
});

interface Mailbox {
  readonly transport: DirectoryTransport;
  readonly events: (LeaseRecord | null)[];
  put(text: string): void;
  lease(options?: Partial<LeaseOptions>): MailboxLease;
  found(): Promise<LeaseRecord | null>;
}

function mailbox(): Mailbox {
  const root = temporaryDirectory();
  const transport = new DirectoryTransport(root);
  const events: (LeaseRecord | null)[] = [];
  let remembered: readonly string[] = [];
  return {
    transport,
    events,
    put: (text) => {
      mkdirSync(join(root, "inbox"), { recursive: true });
      writeFileSync(join(root, LEASE_FILE), text);
    },
    lease: (options = {}) =>
      new MailboxLease({
        owner: OWNER,
        follower: "porto",
        mailbox: () => transport,
        memory: {
          load: () => remembered,
          save: (sessions) => {
            remembered = sessions;
          },
        },
        onTakeover: (from) => events.push(from),
        ...options,
      }),
    found: async () => parseLease(Buffer.from((await transport.read(LEASE_FILE, { maxBytes: 4096 })) ?? []).toString()),
  };
}

test("a mailbox without a lease is taken, and what stands in it names the writer", async () => {
  const { lease, found, events } = mailbox();
  const mine = lease();
  expect(mine.isFresh).toBe(false);
  await mine.hold();
  expect(mine.isFresh).toBe(true);
  expect(await found()).toMatchObject({ ...OWNER, version: 1, renewal: 1, released: false });
  await mine.hold();
  expect(await found()).toMatchObject({ renewal: 2 });
  await mine.release();
  expect(mine.isFresh).toBe(false);
  expect(await found()).toMatchObject({ released: true });
  expect(events).toEqual([]);
});

test("a member that was killed goes on at once, and a copy of its state waits", async () => {
  const { lease, found } = mailbox();
  await lease().hold();
  const restarted = lease();
  await restarted.hold();
  expect(restarted.isFresh).toBe(true);
  const session = (await found())?.session;
  const copy = lease({ memory: { load: () => [], save: () => undefined } });
  await expect(copy.hold()).rejects.toMatchObject({
    code: "LEASE_HELD",
    message: "member lisbon writes to porto, with a copy of this state directory",
  });
  expect((await found())?.session).toBe(session);
});

test.for([
  ["is released", { released: true }],
  ["is of an earlier epoch", { epoch: 1 }],
] as const)("a lease that %s is taken over", async ([_, change]) => {
  const { lease, put, found, events } = mailbox();
  put(formatLease({ ...OTHER, ...change }));
  await lease().hold();
  expect(await found()).toMatchObject(OWNER);
  expect(events).toEqual("epoch" in change ? [{ ...OTHER, ...change }] : []);
});

test.for([
  ["another member's", formatLease(OTHER), "LEASE_HELD", "member faro writes to porto"],
  [
    "of a later epoch",
    formatLease({ ...OTHER, epoch: 3, released: true }),
    "LEASE_EPOCH",
    "member faro writes to porto in epoch 3, after 2",
  ],
  [
    "of another mirror set",
    formatLease({ ...OTHER, mirror: "bank", released: true }),
    "LEASE_FOREIGN",
    "the mailbox of porto is written by mirror set bank",
  ],
  ["not understood", "{}", "LEASE_HELD", "somebody else writes to porto"],
] as const)("a lease that is %s is left alone", async ([_, text, code, message]) => {
  const { lease, put, transport } = mailbox();
  put(text);
  const mine = lease();
  await expect(mine.hold()).rejects.toMatchObject({ code, message });
  expect(mine.isFresh).toBe(false);
  await mine.release();
  expect(Buffer.from((await transport.read(LEASE_FILE, { maxBytes: 4096 })) ?? []).toString()).toBe(text);
});

test("a lease is taken over after 30 s without a renewal, as this process counts them", async () => {
  let nowMs = 0;
  const { lease, put, found, events } = mailbox();
  const mine = lease({ clockMs: () => nowMs });
  put(formatLease(OTHER));
  await expect(mine.hold()).rejects.toMatchObject({ code: "LEASE_HELD" });
  nowMs += SILENCE_MS - 1;
  put(formatLease({ ...OTHER, renewal: 8 }));
  await expect(mine.hold()).rejects.toMatchObject({ code: "LEASE_HELD" });
  nowMs += SILENCE_MS - 1;
  await expect(mine.hold()).rejects.toMatchObject({ code: "LEASE_HELD" });
  nowMs += 1;
  await mine.hold();
  expect(await found()).toMatchObject(OWNER);
  expect(events).toEqual([{ ...OTHER, renewal: 8 }]);
});

test("work is ended with the reason when the lease is lost meanwhile", async ({ signal }) => {
  const { lease, put } = mailbox();
  const mine = lease();
  const work = mine.during(signal, async (lost) => {
    put(formatLease(OTHER));
    await new Promise((_, reject) => lost.addEventListener("abort", () => reject(lost.reason), { once: true }));
  });
  await expect(work).rejects.toMatchObject({ code: "LEASE_HELD" });
});
