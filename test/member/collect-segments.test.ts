/** A mirror that is promoted first gets from other members what they have received and it has not. */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { StepReport } from "../../src/member/runbook-steps.ts";
import { createClinic } from "../support/members.ts";
import {
  endOf,
  type ServedMember,
  SPOKES,
  served,
  until,
  VISITS,
  visitsPath,
  writeVisits,
} from "../support/served-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const shape = SPOKES;

interface Scene {
  readonly root: string;
  /** The end of the journal of lisbon, which is stopped. */
  readonly end: string;
  readonly porto: ServedMember;
  readonly faro: ServedMember;
}

/** lisbon ships its last 20 transactions to faro alone, and ends; what porto has is older. */
async function shippedToFaroAlone({ type = "failover", faroStops = false } = {}): Promise<Scene> {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon", { shape });
  const before = await served(root, "porto", { shape });
  const faro = await served(root, "faro", { shape, keys: { type } });
  await until("both have a first state", () => [before, faro].every(({ member }) => endOf(member) !== "-"));
  await before.stop();
  if (faroStops) await faro.stop();
  const mailbox = join(root, "porto", "mailbox");
  renameSync(mailbox, `${mailbox}.away`);
  writeVisits(root, "lisbon", 20);
  await lisbon.member.rotate();
  const end = endOf(lisbon.member);
  const shipped = () => lisbon.member.ownStatus().followers.faro?.databases[VISITS]?.shipped;
  await until("faro has got it", () => end.endsWith(`:${BigInt(`0x${shipped() ?? 0}`)}`));
  if (!faroStops) await until("and taken it in", () => endOf(faro.member) === end);
  await lisbon.stop();
  renameSync(`${mailbox}.away`, mailbox);
  const porto = await served(root, "porto", { shape });
  return { root, end, porto, faro };
}

test.each([["failover"], ["reporting"]])(
  "what a mirror of type %s has received more is got from it",
  async (type) => {
    const { root, porto, faro } = await shippedToFaroAlone({ type });
    const steps: StepReport[] = [];
    const promoted = await porto.member.promote({}, (report) => steps.push(report));
    expect(promoted).toMatchObject({ epoch: 4, collected: [{ database: VISITS, from: "faro", transactions: 20 }] });
    expect(steps.slice(0, 3)).toMatchObject([
      {
        step: "promote:collecting",
        message: "faro has received 20 transactions of visits more, and is asked for them",
      },
      { step: "promote:collected", message: "20 transactions of visits from faro" },
      { step: "promote:consented" },
    ]);
    writeVisits(root, "porto", 2);
    await porto.member.rotate();
    await until("faro follows without a difference", () => endOf(faro.member) === endOf(porto.member));
    expect(porto.member.ownStatus().collecting).toBeNull();
    await until("faro ships to nobody", () => faro.member.plan().followers.length === 0);
  },
  120_000,
);

test("what lies in the inbox of a mirror that is stopped is got from there", async () => {
  const { porto, end } = await shippedToFaroAlone({ faroStops: true });
  const promoted = await porto.member.promote({});
  expect(promoted.collected).toEqual([{ database: VISITS, from: "faro", transactions: 20 }]);
  const [database] = promoted.databases;
  expect(database?.position).toMatch(
    new RegExp(
      `^1:${BigInt(end.split(":")[1] ?? 0)
        .toString(16)
        .padStart(16, "0")}:`,
    ),
  );
}, 120_000);

test("a mirror that has received more and cannot give it is a reason to refuse, unless forced", async () => {
  const { porto, faro } = await shippedToFaroAlone();
  await faro.stop();
  await expect(porto.member.promote({})).rejects.toMatchObject({
    code: "PROMOTION_BEHIND",
    message: "faro has received 20 transactions of visits that this member has not and cannot get from it",
  });
  expect(await porto.member.promote({ force: "lisbon" })).toMatchObject({ epoch: 4, collected: [] });
}, 120_000);
