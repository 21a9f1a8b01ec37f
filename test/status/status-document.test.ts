import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { selectMember } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { Peer } from "../../src/member/peer.ts";
import { type MemberStatus, parseMemberStatus } from "../../src/status/member-status.ts";
import { formatStatusDocument, parseLifeSign, withLifeSign } from "../../src/status/status-document.ts";
import { mirrorFacts } from "../http/health-facts.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const FOLLOWER = { via: null, reachable: true, error: null, databases: {} };
const JOURNAL = { bytes: 10, maxBytes: 100, minFreeBytes: 1, oldest: null, shortages: [], givenUp: [] };
const RUN = { instance: "a", start: 1, session: "s" };

/** What may be different from one document to the next of a member for which nothing happens. */
interface Life {
  readonly second: number;
  readonly age: number | null;
  readonly beat: number;
  readonly freeBytes: number;
}

/** Ages of two copies beside that of the member: null for the same. */
function documentOf({ second, age, beat, freeBytes }: Life, ages: readonly (number | null)[] = [null], state?: string) {
  const heartbeat = new Date(second * 1000).toISOString();
  const views = ages.map((each, index) => [
    `shop-${index}`,
    { staleSeconds: each ?? age, receivedStaleSeconds: each ?? age },
  ]);
  const { status } = mirrorFacts({
    databases: Object.fromEntries(views),
    status: {
      ...{ heartbeat, upstreamAgeSeconds: age, state: state ?? "connected" },
      run: { ...RUN, beat },
      seen: { lisbon: { ...RUN, beat: beat + 1 } },
      followers: { faro: { ...FOLLOWER, heartbeat } },
      journal: { ...JOURNAL, freeBytes },
    },
  });
  return { status, text: formatStatusDocument(status) };
}

function signOf(text: string) {
  return parseLifeSign(Buffer.from(text).subarray(0, 8192));
}

const LIFE: fc.Arbitrary<Life> = fc.record({
  second: fc.nat({ max: 1e9 }),
  age: fc.option(fc.constantFrom(0, 0.5, 2, 40)),
  beat: fc.nat(),
  freeBytes: fc.nat(),
});
const AGES = fc.array(fc.option(fc.constantFrom(0, 0.5, 2, 40)), { maxLength: 3 });

function configured(root: string) {
  const mailbox = join(root, "porto");
  mkdirSync(mailbox);
  const entry = (name: string) => ({
    mailbox: `file://${join(root, name)}`,
    state: join(root, `${name}-state`),
    databases: { shop: join(root, `${name}.db`) },
  });
  const path = join(root, "afterimage.yaml");
  const members = { lisbon: entry("lisbon"), porto: entry("porto") };
  writeFileSync(path, stringify({ mirror: "clinic", operational: "lisbon", members }));
  return { mailbox, configuration: loadConfiguration(path) };
}

describe("a status document", () => {
  test("is one JSON document that says what the status says", () => {
    const { status, text } = documentOf({ second: 1, age: 1, beat: 1, freeBytes: 5 });
    expect(parseMemberStatus(text)).toEqual(status);
    expect(JSON.parse(text)).toMatchObject({ life: { heartbeat: status.heartbeat, freeBytes: 5 } });
  });

  test("and an earlier one with the same fingerprint give all of it by its sign of life", () => {
    fc.assert(
      fc.property(LIFE, LIFE, AGES, AGES, (before, after, agesBefore, agesAfter) => {
        const known = documentOf(before, agesBefore);
        const next = documentOf(after, agesAfter);
        const sign = signOf(next.text);
        if (sign === null || signOf(known.text)?.contents !== sign.contents) return;
        expect(withLifeSign(known.status, sign)).toEqual(next.status);
      }),
    );
  });

  test("has the same fingerprint as long as nothing happens, and another one when something does", () => {
    const first = signOf(documentOf({ second: 1, age: 0.5, beat: 1, freeBytes: 5 }).text);
    const quiet = signOf(documentOf({ second: 3, age: 0.7, beat: 2, freeBytes: 4 }).text);
    const other = signOf(documentOf({ second: 3, age: 0.7, beat: 2, freeBytes: 4 }, [null], "waiting").text);
    const older = signOf(documentOf({ second: 3, age: 0.7, beat: 2, freeBytes: 4 }, [40]).text);
    expect(quiet?.contents).toBe(first?.contents);
    expect(new Set([first?.contents, other?.contents, older?.contents]).size).toBe(3);
  });

  test("has no sign of life where that is cut off, spoilt or missing", () => {
    const { status, text } = documentOf({ second: 1, age: 1, beat: 1, freeBytes: 5 });
    const line = text.indexOf("\n");
    for (const each of [text.slice(0, line), text.replace("contents", "kontents"), JSON.stringify(status), "", "\n"])
      expect(parseLifeSign(Buffer.from(each))).toBeNull();
  });
});

test("a peer is known as it is, whether only its heartbeat moves or something happens", async () => {
  const root = temporaryDirectory();
  const { mailbox, configuration } = configured(root);
  const member = selectMember(configuration, "porto");
  const told: MemberStatus[] = [];
  const peer = new Peer(
    member,
    configuration.ssh,
    () => 1_000,
    (status) => void told.push(status),
  );
  const shown: (MemberStatus | null)[] = [];
  const documents = [
    documentOf({ second: 1, age: 1, beat: 1, freeBytes: 5 }, Array(50).fill(null)),
    documentOf({ second: 3, age: 2, beat: 2, freeBytes: 4 }, Array(50).fill(null)),
    documentOf({ second: 5, age: 2, beat: 3, freeBytes: 3 }, Array(50).fill(40)),
    documentOf({ second: 7, age: 2, beat: 4, freeBytes: 3 }, Array(50).fill(40)),
  ];
  for (const { text } of documents) {
    writeFileSync(join(mailbox, "status.json"), text);
    await peer.refresh();
    shown.push(peer.status);
  }
  expect(shown).toEqual(documents.map(({ status }) => status));
  expect(told).toEqual(shown);
  expect(peer.alive).toBe(true);

  // What is behind the sign of life was not read, or this would not be a status.
  const [beginning = ""] = documentOf({ second: 9, age: 2, beat: 5, freeBytes: 3 }, Array(50).fill(40)).text.split(
    "\n",
  );
  writeFileSync(join(mailbox, "status.json"), `${beginning}\n${" ".repeat(100_000)}`);
  await peer.refresh();
  expect(peer.status?.run?.beat).toBe(5);
  await peer.disconnect();
});
