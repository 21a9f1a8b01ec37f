/**
 * Two hundred segments of three databases, delivered to a mirror in any order, twice, damaged, cut short or not at all at first.
 * At every moment at which something can be read, the mirror is compared with all states that the operational database had.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import { formatPosition } from "../../src/ltx/position.ts";
import type { Member } from "../../src/member/member.ts";
import type { MirrorStep } from "../../src/member/mirror-duty.ts";
import { deliverTo, type JournalFile, journalFiles } from "./arrivals.ts";
import { addVisits, createClinic } from "./members.ts";
import { openSetMember, type SetShape, setDatabasePath } from "./set-members.ts";

const SHAPE: SetShape = { mirror: "clinic", databases: ["patients", "billing", "lab"], members: ["lisbon", "porto"] };
const SEGMENTS = 200;
/** A snapshot is a way to be at a state without the segments before it. */
const SNAPSHOT_EVERY = 25;
const RESENT_WITHIN = 12;
const WRITE_VERSION_OFFSET = 18;
/** Moments of an integration at which readers are let in; between the two copies of a wal-index header they wait. */
const READABLE: ReadonlySet<string> = new Set<MirrorStep>([
  "received",
  "announced",
  "append",
  "synced",
  "indexed",
  "header1",
  "recorded",
]);

/** Everything that the operational member ever had. */
interface History {
  readonly files: readonly JournalFile[];
  /** SHA-256 of the pages by `database position`. */
  readonly states: ReadonlyMap<string, string>;
  /** By database. */
  readonly ends: ReadonlyMap<string, string>;
  readonly root: string;
}

type Fate = "whole" | "twice" | "flipped" | "cut" | "lost";

interface Delivery {
  /** A permutation of all files. */
  readonly order: readonly number[];
  readonly fates: readonly { fate: Fate; at: number; after: "nothing" | "integrate" | "reopen" }[];
  /** The order in which everything is sent once more. */
  readonly again: readonly number[];
}

const fate = fc.record({
  fate: fc.oneof(
    { weight: 6, arbitrary: fc.constant<Fate>("whole") },
    { weight: 4, arbitrary: fc.constantFrom<Fate>("twice", "flipped", "cut", "lost") },
  ),
  at: fc.nat({ max: 100_000 }),
  after: fc.oneof(
    { weight: 80, arbitrary: fc.constant("nothing" as const) },
    { weight: 18, arbitrary: fc.constant("integrate" as const) },
    { weight: 2, arbitrary: fc.constant("reopen" as const) },
  ),
});

/** Of 0 to `length` - 1: in order, nearly so, or in any order. */
function permutationOf(length: number): fc.Arbitrary<number[]> {
  const delays = fc.array(fc.nat({ max: 1_000_000 }), { minLength: length, maxLength: length });
  return fc.tuple(delays, fc.constantFrom(1, 2, 5, 20, 10 * length)).map(([drawn, spread]) => {
    const places = drawn.map((each, i) => i + (each % spread));
    return places.map((_, i) => i).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  });
}

export async function runRandomDeliveryScenario(options: { cases: number }): Promise<void> {
  const seed = Number(process.env.AFTERIMAGE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`AFTERIMAGE_SEED=${seed}`);
  const root = mkdtempSync(join(tmpdir(), "afterimage-delivery-"));
  const figures = { cases: 0, readings: 0, states: 0, refused: 0 };
  try {
    const history = await makeHistory(join(root, "source"));
    const { length } = history.files;
    const delivery = fc.record({
      order: permutationOf(length),
      fates: fc.array(fate, { minLength: length, maxLength: length }),
      again: permutationOf(length),
    });
    const property = fc.asyncProperty(delivery, async (each) => {
      const target = mkdtempSync(join(root, "mirror-"));
      await deliverAll(target, history, each, figures);
      rmSync(target, { recursive: true });
    });
    await fc.assert(property, { numRuns: options.cases, seed, endOnFailure: true });
  } finally {
    rmSync(root, { recursive: true });
  }
  expect(figures.states).toBeGreaterThan(20 * options.cases);
  expect(figures.refused).toBeGreaterThan(options.cases);
  console.log(`${figures.cases} deliveries: ${JSON.stringify(figures)}`);
}

async function makeHistory(root: string): Promise<History> {
  const states = new Map<string, string>();
  const ends = new Map<string, string>();
  const files: JournalFile[] = [];
  await using lisbon = await openSetMember(root, "lisbon", SHAPE);
  const perDatabase = Math.ceil(SEGMENTS / SHAPE.databases.length);
  for (const name of SHAPE.databases) {
    const database = createClinic(setDatabasePath(root, "lisbon", name));
    for (let round = 0; round < perDatabase; round++) {
      change(database, round);
      const [result] = await lisbon.rotate([name]);
      const position = result?.position ?? "";
      states.set(`${name} ${position}`, imageOf(database));
      ends.set(name, position);
      if (round % SNAPSHOT_EVERY === SNAPSHOT_EVERY - 1)
        expect(await lisbon.operational.get(name)?.snapshot()).toMatchObject({});
    }
    database.close();
    files.push(...(await journalFiles(lisbon, name)));
  }
  expect(files.length).toBeGreaterThan(SEGMENTS);
  // The databases in turns, each from its oldest file on.
  files.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  return { files, states, ends, root };
}

/** Databases grow, lose rows and shrink. */
function change(database: Database.Database, round: number): void {
  if (round % 20 === 19) database.exec("VACUUM");
  else if (round % 7 === 6) database.exec(`DELETE FROM visit WHERE id % 3 = ${round % 3}`);
  else addVisits(database, 1 + (round % 4));
}

/** All pages as a reader gets them; the fence's byte does not count. */
function imageOf(database: Database.Database): string {
  const bytes = database.serialize();
  bytes[WRITE_VERSION_OFFSET] = 2;
  return createHash("sha256").update(bytes).digest("hex");
}

class WatchedMirror {
  readonly #root: string;
  readonly #history: History;
  readonly #known: ReadonlyMap<string, ReadonlySet<string>>;
  #member: Member | null = null;
  readings = 0;
  readonly seen = new Set<string>();

  constructor(root: string, history: History) {
    this.#root = root;
    this.#history = history;
    this.#known = new Map(
      SHAPE.databases.map((name) => {
        const own = [...history.states].filter(([key]) => key.startsWith(`${name} `));
        return [name, new Set(own.map(([, image]) => image))];
      }),
    );
  }

  get member(): Member {
    if (this.#member === null) throw new Error("the mirror is not open");
    return this.#member;
  }

  async open(): Promise<void> {
    this.#member = await openSetMember(this.#root, "porto", SHAPE, { onStep: (step) => this.#look(step) });
  }

  async close(): Promise<void> {
    await this.#member?.close();
    this.#member = null;
  }

  /** Whoever reads now gets a state that the operational database had, and the one that the position says once it is recorded. */
  #look(step: string): void {
    if (!READABLE.has(step)) return;
    for (const name of SHAPE.databases) {
      const image = this.image(name);
      if (image === null) continue;
      this.readings++;
      this.seen.add(image);
      if (this.#known.get(name)?.has(image) !== true)
        throw new Error(`at ${step}, ${name} is in a state that never was`);
      if (step === "recorded" || step === "received") this.expectPosition(name, image);
    }
  }

  expectPosition(name: string, image: string | null): void {
    const position = this.member.context.store.database(name)?.integrated ?? null;
    if (position === null) return;
    const expected = this.#history.states.get(`${name} ${formatPosition(position)}`);
    if (expected === undefined) throw new Error(`${name} is at ${formatPosition(position)}, which never was`);
    if (expected !== image) throw new Error(`the pages of ${name} are not those of ${formatPosition(position)}`);
  }

  image(name: string): string | null {
    const path = setDatabasePath(this.#root, "porto", name);
    if (!existsSync(path)) return null;
    const reader = new Database(path, { readonly: true });
    try {
      return imageOf(reader);
    } finally {
      reader.close();
    }
  }
}

async function deliverAll(
  root: string,
  history: History,
  { order, fates, again }: Delivery,
  figures: { cases: number; readings: number; states: number; refused: number },
): Promise<void> {
  const mirror = new WatchedMirror(root, history);
  await mirror.open();
  try {
    /** What was lost or spoilt is sent again after some others. */
    const resent = new Map<number, JournalFile[]>();
    for (const [i, index] of order.entries()) {
      const file = history.files[index];
      const how = fates[i];
      if (file === undefined || how === undefined) throw new RangeError(`no file ${index}`);
      for (const late of resent.get(i) ?? []) deliverTo(root, "porto", late);
      await deliverOnce(mirror, root, file, how);
      const due = i + 1 + (how.at % RESENT_WITHIN);
      resent.set(due, [...(resent.get(due) ?? []), file]);
    }
    for (const index of again) {
      const file = history.files[index];
      if (file !== undefined) deliverTo(root, "porto", file);
    }
    const results = await mirror.member.integrate();
    expect(new Map(results.map(({ database, position }) => [database, position]))).toEqual(history.ends);
    for (const name of SHAPE.databases) mirror.expectPosition(name, mirror.image(name));
    expect((await mirror.member.verify()).flatMap(({ problems }) => problems)).toEqual([]);
    const { databases } = mirror.member.ownStatus();
    for (const name of SHAPE.databases) figures.refused += databases[name]?.quarantined ?? 0;
  } finally {
    await mirror.close();
  }
  for (const name of SHAPE.databases) {
    const [expected, actual] = [setDatabasePath(history.root, "lisbon", name), setDatabasePath(root, "porto", name)];
    settleDatabase(expected);
    settleDatabase(actual);
    expect({ name, ...compareDatabases(expected, actual) }).toMatchObject({ name, identical: true });
  }
  figures.cases++;
  figures.readings += mirror.readings;
  figures.states += mirror.seen.size;
}

async function deliverOnce(
  mirror: WatchedMirror,
  root: string,
  file: JournalFile,
  { fate, at, after }: Delivery["fates"][number],
): Promise<void> {
  const offset = at % file.bytes.length;
  if (fate === "whole" || fate === "twice") deliverTo(root, "porto", file);
  if (fate === "cut") deliverTo(root, "porto", file, file.bytes.subarray(0, offset));
  if (fate === "flipped") {
    const bytes = Buffer.from(file.bytes);
    bytes[offset] = (bytes[offset] ?? 0) ^ (1 << (at & 7));
    deliverTo(root, "porto", file, bytes);
  }
  if (after === "reopen") {
    await mirror.close();
    await mirror.open();
  }
  if (after !== "nothing") await mirror.member.integrate();
  if (fate === "twice") deliverTo(root, "porto", file);
}
