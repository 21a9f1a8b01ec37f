import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { NO_CHECKSUM, type Position, toTxid } from "../../src/ltx/position.ts";
import { publishStatus } from "../../src/member/jobs/heartbeat.ts";
import type { Member } from "../../src/member/member.ts";
import {
  formatOffer,
  type OfferFile,
  offerFileName,
  parseOffer,
  parseOfferFileName,
} from "../../src/member/offer-file.ts";
import { addVisits, CLINIC, createClinic, databasePath, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const ID = "0123456789abcdef";

interface Pair {
  readonly lisbon: Member;
  readonly porto: Member;
  readonly inbox: string;
  /** An offer that porto can take. */
  readonly offer: OfferFile;
}

/** Both members are level; lisbon's status says nothing of an offer. */
async function levelPair(root: string): Promise<Pair> {
  const database = createClinic(databasePath(root, "lisbon"));
  addVisits(database, 3);
  const lisbon = await openMember(root, "lisbon");
  const porto = await openMember(root, "porto");
  await lisbon.rotate();
  await lisbon.ship({});
  await porto.integrate();
  database.close();
  lisbon.daemonRun.begin();
  publishStatus(lisbon);
  const start = porto.context.store.database(CLINIC)?.integrated;
  if (start == null) throw new Error("nothing is integrated");
  const offer = { id: ID, epoch: 3, from: "lisbon", to: "porto", starts: { [CLINIC]: start } };
  return { lisbon, porto, inbox: join(root, "porto", "mailbox", "inbox"), offer: { mirror: "clinic", of: 1, offer } };
}

function put({ inbox }: Pair, file: OfferFile): void {
  mkdirSync(inbox, { recursive: true });
  writeFileSync(join(inbox, offerFileName("offer", file.offer.id)), formatOffer(file));
}

const REFUSALS: readonly [string, (file: OfferFile) => OfferFile][] = [
  ["mirror set", (file) => ({ ...file, mirror: "shop" })],
  ["it is for faro", (file) => ({ ...file, offer: { ...file.offer, to: "faro" } })],
  ["faro is not operational", (file) => ({ ...file, offer: { ...file.offer, from: "faro" } })],
  ["it follows epoch 2", (file) => ({ ...file, of: 2 })],
  ["epoch 4 is not porto's next", (file) => ({ ...file, offer: { ...file.offer, epoch: 4 } })],
  ["does not say where clinic begins", (file) => ({ ...file, offer: { ...file.offer, starts: {} } })],
  ["no copy of books", (file) => ({ ...file, offer: { ...file.offer, starts: withBooks(file) } })],
  ["it begins at", (file) => ({ ...file, offer: { ...file.offer, starts: { [CLINIC]: OTHER } } })],
];

const OTHER: Position = { epoch: 1, txid: toTxid(99n), checksum: NO_CHECKSUM };

function withBooks({ offer }: OfferFile): OfferFile["offer"]["starts"] {
  return { ...offer.starts, books: OTHER };
}

test("an offer that does not fit is refused with its reason, and nothing changes", async () => {
  const root = temporaryDirectory();
  const pair = await levelPair(root);
  await using lisbon = pair.lisbon;
  await using porto = pair.porto;
  for (const [index, [reason, change]] of REFUSALS.entries()) {
    const file = change(pair.offer);
    const id = index.toString(16).padStart(16, "0");
    put(pair, { ...file, offer: { ...file.offer, id } });
    await porto.offers.look();
    expect(porto.offers.refused).toMatchObject({ id, state: "refused", error: { code: "OFFER_REFUSED" } });
    expect(porto.offers.refused?.error?.message).toContain(reason);
  }
  expect(porto.roles.state).toEqual({ role: "mirror", epoch: 1 });
  expect(lisbon.roles.state).toEqual({ role: "operational", epoch: 1 });
});

test("an offer that its maker does not speak of is put aside, and never claimed", async () => {
  const root = temporaryDirectory();
  const pair = await levelPair(root);
  await using lisbon = pair.lisbon;
  await using porto = pair.porto;
  put(pair, pair.offer);
  expect(await porto.offers.look()).toBe(false);
  expect(readdirSync(pair.inbox)).toContain(offerFileName("refused", ID));
  await porto.offers.look();
  expect(readdirSync(pair.inbox).filter((name) => parseOfferFileName(name) !== null)).toEqual([]);

  writeFileSync(join(pair.inbox, offerFileName("taken", ID)), formatOffer(pair.offer));
  await porto.offers.look();
  expect(existsSync(join(pair.inbox, offerFileName("taken", ID)))).toBe(false);
  expect(porto.roles.state).toEqual({ role: "mirror", epoch: 1 });
  expect(lisbon.roles.state.role).toBe("operational");
});

test("an offer that its maker is withdrawing is not taken, and its maker may serve again", async () => {
  const root = temporaryDirectory();
  const pair = await levelPair(root);
  await using lisbon = pair.lisbon;
  await using porto = pair.porto;
  expect(lisbon.roles.apply({ type: "offer", offer: pair.offer.offer })).toBeNull();
  // After a start there is only one thing to do with an offer: it is withdrawn.
  publishStatus(lisbon);
  put(pair, pair.offer);
  const waits = await porto.offers.look();
  expect({ waits, refused: porto.offers.refused }).toEqual({ waits: true, refused: null });
  expect(porto.roles.state.role).toBe("mirror");
  await lisbon.handover.settle();
  expect(lisbon.roles.state).toEqual({ role: "claimed", epoch: 1 });
  expect(readdirSync(pair.inbox).filter((name) => parseOfferFileName(name) !== null)).toEqual([]);
});

test("what is no offer is not one", () => {
  for (const text of ["", "{}", "null", '{"version":2}']) expect(parseOffer(text)).toBeNull();
  fc.assert(fc.property(fc.string(), (text) => parseOffer(text) === null));
  for (const name of ["_lease.json", "_offer-1.json", `offer-${ID}.json`, `_lost-${ID}.json`])
    expect(parseOfferFileName(name)).toBeNull();
  const file: OfferFile = {
    mirror: "clinic",
    of: 1,
    offer: { id: ID, epoch: 3, from: "lisbon", to: "porto", starts: { [CLINIC]: OTHER } },
  };
  expect(parseOffer(formatOffer(file))).toMatchObject(file);
});
