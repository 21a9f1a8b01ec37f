/**
 * Partitions between three members, and a promotion during each: never can two members be written to in one epoch, and when the
 * network is whole again, one is operational and all others are fenced.
 */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Slots } from "../../src/member/slots.ts";
import { parseMemberStatus } from "../../src/status/member-status.ts";
import { HOSTS, HostSet } from "../support/host-set.ts";
import { createClinic } from "../support/members.ts";
import { endOf, SPOKES, served, until, visitsPath, writeVisits } from "../support/served-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Four sets of three daemons are busy enough on two cores, and mostly wait. */
const slots = new Slots(4);
const LIMIT_MS = 900_000;

type Link = readonly [string, string];
const [LP, LF, PF]: readonly [Link, Link, Link] = [
  ["lisbon", "porto"],
  ["lisbon", "faro"],
  ["porto", "faro"],
];

interface Partition {
  readonly name: string;
  readonly cut: readonly Link[];
  /** Whether porto, or somebody whom it reaches, sees that lisbon lives. */
  readonly seesLisbon: boolean;
}

const PARTITIONS: readonly Partition[] = [
  { name: "the network is whole", cut: [], seesLisbon: true },
  { name: "lisbon and porto are apart", cut: [LP], seesLisbon: true },
  { name: "lisbon and faro are apart", cut: [LF], seesLisbon: true },
  { name: "porto and faro are apart", cut: [PF], seesLisbon: true },
  { name: "lisbon is alone", cut: [LP, LF], seesLisbon: false },
  { name: "porto is alone", cut: [LP, PF], seesLisbon: false },
  { name: "faro is alone", cut: [LF, PF], seesLisbon: true },
  { name: "everybody is alone", cut: [LP, LF, PF], seesLisbon: false },
];

async function withHosts(
  signal: AbortSignal,
  work: (hosts: HostSet) => Promise<void>,
  keys?: Readonly<Record<string, string>>,
): Promise<void> {
  await slots.run(async () => {
    const hosts = await HostSet.start(signal, keys);
    if (hosts === null) return;
    await using _ = hosts;
    await work(hosts);
  });
}

/** Waits until one is operational, and all others know of its epoch and cannot be written to. */
async function untilOneReigns(hosts: HostSet, epoch: number): Promise<void> {
  await hosts.until(`one reigns in epoch ${epoch}`, () => {
    const states = HOSTS.map((name) => hosts.set.status(name));
    const reigning = states.filter((status) => status?.state === "operational");
    return reigning.length === 1 && states.every((status) => status?.epoch === epoch);
  });
  await hosts.until("all others are fenced", () => hosts.guard.unfenced().length === 1);
}

test.concurrent.for(PARTITIONS)(
  "while $name, porto is promoted only if nobody sees lisbon live",
  {
    timeout: LIMIT_MS,
  },
  async ({ cut, seesLisbon }, { signal }) => {
    await withHosts(signal, async (hosts) => {
      for (const [a, b] of cut) hosts.network.cut(a, b);
      const { code, output } = await hosts.command("porto", "promote");
      expect([output, code]).toEqual([
        expect.stringContaining(seesLisbon ? "PROMOTION_ALIVE" : "porto is operational in epoch 4"),
        seesLisbon ? 3 : 0,
      ]);
      hosts.network.heal();
      await untilOneReigns(hosts, seesLisbon ? 1 : 4);
      expect(hosts.guard.faults()).toEqual([]);
      expect(hosts.guard.writers()).toEqual(seesLisbon ? { 1: ["lisbon"] } : { 1: ["lisbon"], 4: ["porto"] });
    });
  },
);

test.concurrent.for(PARTITIONS)(
  "while $name, porto is promoted by force, and lisbon is deposed when it hears of it",
  {
    timeout: LIMIT_MS,
  },
  async ({ cut }, { signal }) => {
    await withHosts(signal, async (hosts) => {
      for (const [a, b] of cut) hosts.network.cut(a, b);
      const { code, output } = await hosts.command("porto", "promote", "--force", "lisbon");
      expect([output, code]).toEqual([expect.stringContaining("porto is operational in epoch 4"), 0]);
      hosts.network.heal();
      await untilOneReigns(hosts, 4);
      expect(hosts.roles()).toEqual({ lisbon: "deposed 1", porto: "operational 4", faro: "mirror 4" });
      expect(hosts.guard.faults()).toEqual([]);
      expect(hosts.guard.writers()).toEqual({ 1: ["lisbon"], 4: ["porto"] });
    });
  },
);

test.concurrent.for(["continue", "fence"])(
  "the old member is started again in isolation, with onIsolation: %s",
  {
    timeout: LIMIT_MS,
  },
  async (onIsolation, { signal }) => {
    await withHosts(
      signal,
      async (hosts) => {
        await hosts.stop("lisbon");
        expect((await hosts.command("porto", "promote", "--force", "lisbon")).code).toBe(0);
        for (const [a, b] of [LP, LF]) hosts.network.cut(a, b);
        hosts.start("lisbon");
        const state = onIsolation === "fence" ? "fenced" : "operational";
        await hosts.until(`lisbon is ${state}`, () => hosts.set.status("lisbon")?.state === state);
        const canWrite = () => hosts.guard.unfenced().includes("lisbon");
        await hosts.until("its databases are as that says", () => canWrite() === (onIsolation === "continue"));
        expect(hosts.set.status("porto")?.state).toBe("operational");
        hosts.network.heal();
        await untilOneReigns(hosts, 4);
        expect(hosts.roles()).toMatchObject({ lisbon: "deposed 1", porto: "operational 4", faro: "mirror 4" });
        expect(hosts.guard.faults()).toEqual([]);
      },
      { onIsolation },
    );
  },
);

test.concurrent.for(["after it", "together with it"])(
  "a copy of lisbon's machine that is started %s fences itself, and lisbon goes on",
  {
    timeout: LIMIT_MS,
  },
  async (order, { signal }) => {
    await withHosts(signal, async (hosts) => {
      await hosts.stop("lisbon");
      const copy = hosts.copyLisbon();
      hosts.start("lisbon");
      if (order === "after it") {
        const seen = () => hosts.set.status("porto")?.seen?.lisbon?.start ?? 0;
        await hosts.until("porto sees lisbon's new run", () => seen() === 2);
      }
      copy.start();
      const status = () =>
        existsSync(copy.statusPath) ? parseMemberStatus(readFileSync(copy.statusPath, "utf8")) : null;
      await hosts.until("the copy says what it is", () =>
        ["STATE_SET_BACK", "MEMBER_CLONED"].some((code) => status()?.errors.some((error) => error.code === code)),
      );
      await hosts.until("its databases are fenced", () => !copy.canWrite());
      hosts.guard.watch(copy.machine);
      const before = hosts.guard.writes;
      await hosts.until("lisbon goes on", () => hosts.guard.writes > before + 20);
      await untilOneReigns(hosts, 1);
      expect(hosts.set.status("lisbon")?.errors).toEqual([]);
      expect(hosts.guard.faults()).toEqual([]);
      expect(hosts.guard.writers()).toEqual({ 1: ["lisbon"] });
    });
  },
);

/** In this process, because a process has the machine's clock. */
test("clocks that are an hour apart change nothing of who reigns", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const clock = (hours: number) => ({ shape: SPOKES, nowMs: () => Date.now() + hours * 3_600_000 });
  const lisbon = await served(root, "lisbon", clock(1));
  const porto = await served(root, "porto", clock(-1));
  const faro = await served(root, "faro", clock(0));
  await until("both have a first state", () => [porto, faro].every(({ member }) => endOf(member) !== "-"));
  await expect(porto.member.promote({})).rejects.toMatchObject({ code: "PROMOTION_ALIVE" });
  await lisbon.stop();
  expect(await porto.member.promote({})).toMatchObject({ epoch: 4 });
  const again = await served(root, "lisbon", clock(2));
  await until("lisbon is deposed", () => again.member.roles.state.role === "deposed");
  await until("its databases are fenced", () => again.member.ownStatus().state === "fenced");
  writeVisits(root, "porto", 3);
  await porto.member.rotate();
  await until("faro follows porto", () => endOf(faro.member) === endOf(porto.member));
  expect(() => writeVisits(root, "lisbon", 1)).toThrow(/readonly/);
  expect([again, porto, faro].map(({ member }) => member.roles.role)).toEqual(["mirror", "operational", "mirror"]);
}, 120_000);
