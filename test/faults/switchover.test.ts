import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import { parseOfferFileName } from "../../src/member/offer-file.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { afterimage, type Ended } from "../cli/afterimage.ts";
import { countEntries, createEntries, type EntryCounts } from "../support/entries.ts";
import { readEvents } from "../support/events.ts";
import {
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  PAIR,
  startAll,
  untilLevel,
  untilSet,
} from "../support/mirror-set.ts";
import { RoamingWriters } from "../support/roaming-writers.ts";
import { sftpMailboxes } from "../support/sftp-mailboxes.ts";

const FOUR: readonly DemoMember[] = [
  { member: OPERATIONAL, follows: null },
  { member: MIRROR, follows: OPERATIONAL },
  { member: "faro", follows: OPERATIONAL },
  { member: "braga", follows: MIRROR },
];

async function switchover(set: DemoSet, from: string, ...flags: string[]): Promise<Ended> {
  return await afterimage(["switchover", ...flags, "--node", from], { cwd: set.root });
}

async function handOver(set: DemoSet, from: string, to: string): Promise<void> {
  await untilSet(set, `${to} knows of the epoch`, () => {
    const [old, next] = [set.status(from), set.status(to)];
    return old?.state === "operational" && next?.role === "mirror" && next.epoch === old.epoch;
  });
  const { code, stdout, stderr } = await switchover(set, from, "--to", to);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`${to} is operational in epoch`);
  await untilSet(set, `${from} follows`, () => set.status(from)?.role === "mirror");
}

/** Waits until all of them show these rows, stops the daemons and compares the files page by page. */
async function expectEverywhere(set: DemoSet, paths: readonly string[], counts: EntryCounts): Promise<void> {
  for (const path of paths)
    await untilSet(set, `${path} has everything`, () => JSON.stringify(countEntries(path)) === JSON.stringify(counts));
}

async function expectPagesEqual(set: DemoSet, paths: readonly string[]): Promise<void> {
  const failed = await set.stopDaemons();
  expect(failed.map((daemon) => `${daemon.name}: ${daemon.logTail()}`)).toEqual([]);
  for (const path of paths) settleDatabase(path);
  for (const path of paths) expect(compareDatabases(paths[0] ?? "", path)).toMatchObject({ identical: true });
}

/** Changes what the configuration file says. */
function configure(set: DemoSet, change: (configuration: ReturnType<typeof parse>) => void): void {
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  change(configuration);
  writeFileSync(set.configPath, stringify(configuration));
}

test("the role goes to mirrors and a mirror-mirror and back under writers, and every member has every commit", async () => {
  const set = createSet(FOUR);
  const paths = FOUR.map(({ member }) => set.databasePath(member));
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  const writers = new RoamingWriters(set.root, ["ana", "bento"], paths);
  await untilSet(set, "rows arrive", () => (countEntries(set.databasePath("braga")).ana ?? 0) > 20);
  await handOver(set, OPERATIONAL, MIRROR);
  await handOver(set, MIRROR, "braga");
  await handOver(set, "braga", OPERATIONAL);
  const { counts, interruptionsMs } = await writers.stop();
  await expectEverywhere(set, paths, counts);
  await expectPagesEqual(set, paths);
  const codes = FOUR.flatMap(({ member }) => readEvents(set, member).map(({ code }) => code));
  for (const copied of ["RESYNC", "DEPOSED", "DIVERGED"]) expect(codes).not.toContain(copied);
  console.log(`${JSON.stringify(counts)} commits, interrupted for ${interruptionsMs.join(", ")} ms`);
});

test("two databases change sides by SFTP with embedded endpoints, also when shipping has a schedule", async () => {
  const set = createSet(PAIR, { rotate: "continuous", ship: "0 0 1 1 *" });
  set.configure(await sftpMailboxes(set, [OPERATIONAL, MIRROR]));
  const others = PAIR.map(({ member }) => join(set.root, member, "data", "books.db"));
  configure(set, ({ members }) => {
    for (const { member } of PAIR) members[member].databases.books = join(set.root, member, "data", "books.db");
  });
  const shops = PAIR.map(({ member }) => set.databasePath(member));
  for (const path of [set.databasePath(OPERATIONAL), others[0] ?? ""]) createEntries(path);
  for (const { member } of PAIR) set.startDaemon(member);
  await untilSet(
    set,
    "both daemons run",
    () => set.status(MIRROR)?.follows === OPERATIONAL && set.status(OPERATIONAL) !== null,
  );
  await untilSet(set, "both databases arrive", async () => {
    await afterimage(["ship", "--node", OPERATIONAL], { cwd: set.root });
    return ["shop", "books"].every((name) => set.status(MIRROR)?.databases[name]?.integrated != null);
  });
  const writers = [new RoamingWriters(set.root, ["ana"], shops), new RoamingWriters(set.root, ["livro"], others)];
  await handOver(set, OPERATIONAL, MIRROR);
  await handOver(set, MIRROR, OPERATIONAL);
  const [shop, books] = await Promise.all(writers.map((each) => each.stop()));
  await afterimage(["ship", "--node", OPERATIONAL], { cwd: set.root });
  await expectEverywhere(set, shops, shop?.counts ?? {});
  await expectEverywhere(set, others, books?.counts ?? {});
  await expectPagesEqual(set, shops);
  for (const path of others) settleDatabase(path);
  expect(compareDatabases(others[0] ?? "", others[1] ?? "")).toMatchObject({ identical: true });
});

/** A pair with a hook on the mirror that does not consent while a file is there. */
async function vetoable(bySftp = false): Promise<{ set: DemoSet; veto: string; slow: string }> {
  const set = createSet(PAIR);
  if (bySftp) set.configure(await sftpMailboxes(set, [OPERATIONAL, MIRROR]));
  const [veto, slow, hook] = ["veto", "slow", "hook"].map((name) => join(set.root, name));
  if (veto === undefined || slow === undefined || hook === undefined) throw new Error("no paths");
  writeFileSync(hook, `#!/bin/sh\nwhile test -e ${slow}; do sleep 0.05; done\ntest ! -e ${veto}\n`);
  chmodSync(hook, 0o755);
  configure(set, ({ members }) => {
    members[MIRROR].hooks = { beforePromote: hook };
  });
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  await untilLevel(set, countEntries);
  return { set, veto, slow };
}

function isOffer(name: string): boolean {
  return parseOfferFileName(name)?.stage === "offer";
}

async function expectUndone(set: DemoSet): Promise<void> {
  await untilSet(set, "the old member serves", () => set.status(OPERATIONAL)?.state === "operational");
  expect(await isFenced(set.databasePath(OPERATIONAL))).toBe(false);
  expect(await isFenced(set.databasePath(MIRROR))).toBe(true);
  expect(set.status(OPERATIONAL)?.errors).toEqual([]);
  expect(set.status(OPERATIONAL)?.handover ?? null).toBeNull();
}

test("a hand-over that is refused, takes too long, or is cancelled is undone, and succeeds afterwards", async () => {
  const { set, veto, slow } = await vetoable();
  writeFileSync(veto, "");
  const refused = await switchover(set, OPERATIONAL, "--to", MIRROR);
  expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining("SWITCHOVER_REFUSED") });
  await expectUndone(set);
  rmSync(veto);

  writeFileSync(slow, "");
  const late = await switchover(set, OPERATIONAL, "--to", MIRROR, "--timeout", "1s");
  expect(late).toMatchObject({ code: 6, stderr: expect.stringContaining("SWITCHOVER_TIMEOUT") });
  await expectUndone(set);

  const running = switchover(set, OPERATIONAL, "--to", MIRROR);
  await untilSet(set, "it is offered", () => set.status(OPERATIONAL)?.handover?.state === "offered");
  expect(await switchover(set, OPERATIONAL, "--to", MIRROR)).toMatchObject({ code: 4 });
  const unfenced = await afterimage(["unfence", "--node", OPERATIONAL], { cwd: set.root });
  expect(unfenced).toMatchObject({ code: 3, stderr: expect.stringContaining("UNFENCE_REFUSED") });
  expect(await switchover(set, OPERATIONAL, "--cancel")).toMatchObject({ code: 0 });
  expect(await running).toMatchObject({ code: 3, stderr: expect.stringContaining("SWITCHOVER_CANCELLED") });
  await expectUndone(set);
  rmSync(slow);

  await handOver(set, OPERATIONAL, MIRROR);
  await expectPagesEqual(
    set,
    PAIR.map(({ member }) => set.databasePath(member)),
  );
});

test("the programs of both members are run in order, and again when all is undone", async () => {
  const set = createSet(PAIR);
  const [log, veto, hook] = [join(set.root, "hooks.log"), join(set.root, "veto"), join(set.root, "hook")];
  const line = "$AFTERIMAGE_MEMBER $1 $AFTERIMAGE_OLD_ROLE-$AFTERIMAGE_ROLE";
  writeFileSync(hook, `#!/bin/sh\necho "${line}" >> ${log}\n[ "$1" != beforePromote ] || test ! -e ${veto}\n`);
  chmodSync(hook, 0o755);
  const events = ["beforePromote", "afterPromote", "beforeFence", "afterFence"];
  configure(set, ({ members }) => {
    for (const { member } of PAIR) members[member].hooks = Object.fromEntries(events.map((event) => [event, hook]));
  });
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  await untilLevel(set, countEntries);
  const said = () => (existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n") : []);
  writeFileSync(veto, "");
  expect(await switchover(set, OPERATIONAL, "--to", MIRROR)).toMatchObject({ code: 3 });
  const undone = [
    `${OPERATIONAL} beforeFence operational-mirror`,
    `${MIRROR} beforePromote mirror-operational`,
    `${OPERATIONAL} afterPromote operational-operational`,
  ];
  await untilSet(set, "what was stopped is started again", () => said().length >= undone.length);
  expect(said()).toEqual(undone);
  rmSync(veto);
  await handOver(set, OPERATIONAL, MIRROR);
  await untilSet(set, "both have told", () => said().length >= undone.length + 4);
  expect(said().slice(undone.length, undone.length + 2)).toEqual(undone.slice(0, 2));
  expect(
    said()
      .slice(undone.length + 2)
      .sort(),
  ).toEqual([`${OPERATIONAL} afterFence operational-mirror`, `${MIRROR} afterPromote mirror-operational`]);
});

test("an offer that can neither be withdrawn nor taken keeps the databases fenced until the other mailbox is back", async () => {
  const { set, slow } = await vetoable(true);
  writeFileSync(slow, "");
  const running = switchover(set, OPERATIONAL, "--to", MIRROR, "--timeout", "4s");
  await untilSet(set, "it is offered", () => readdirSync(join(set.mailboxPath(MIRROR), "inbox")).some(isOffer));
  const mirror = set.daemon(MIRROR);
  if (mirror === null) throw new Error("no daemon");
  await killDaemon(mirror);
  rmSync(slow);
  expect(await running).toMatchObject({ code: 6, stderr: expect.stringContaining("SWITCHOVER_UNSETTLED") });
  expect(await isFenced(set.databasePath(OPERATIONAL))).toBe(true);
  expect(set.status(OPERATIONAL)).toMatchObject({
    state: "fenced",
    errors: [{ code: "SWITCHOVER_UNSETTLED", hint: expect.stringContaining(MIRROR) }],
    handover: { to: MIRROR, state: "withdrawing" },
  });
  const wrong = await switchover(set, OPERATIONAL, "--cancel", "--force", "faro");
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("SWITCHOVER_TARGET") });
  set.startDaemon(MIRROR);
  await expectUndone(set);
  expect(readdirSync(join(set.mailboxPath(MIRROR), "inbox")).filter(isOffer)).toEqual([]);
  await untilSet(set, "the mirror follows", () => set.status(MIRROR)?.state === "connected");
  await handOver(set, OPERATIONAL, MIRROR);
});

test("a member whose peer is lost for good serves again by force", async () => {
  const { set, slow } = await vetoable(true);
  writeFileSync(slow, "");
  const running = switchover(set, OPERATIONAL, "--to", MIRROR, "--timeout", "2s");
  await untilSet(set, "it is offered", () => readdirSync(join(set.mailboxPath(MIRROR), "inbox")).some(isOffer));
  const mirror = set.daemon(MIRROR);
  if (mirror === null) throw new Error("no daemon");
  await killDaemon(mirror);
  expect(await running).toMatchObject({ code: 6 });
  expect(await switchover(set, OPERATIONAL, "--cancel", "--force", MIRROR)).toMatchObject({ code: 0 });
  expect(await isFenced(set.databasePath(OPERATIONAL))).toBe(false);
  rmSync(slow);
  // What lies in its inbox still is not taken: it was withdrawn in the status.
  set.startDaemon(MIRROR);
  await untilSet(set, "the mirror follows", () => set.status(MIRROR)?.state === "connected");
  expect(readEvents(set, MIRROR).map(({ code }) => code)).not.toContain("OFFER_TAKEN");
});

test("nothing is done when the other member cannot take over, and the reason is named", async () => {
  const set = createSet(PAIR);
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  await untilLevel(set, countEntries);
  const dry = await switchover(set, OPERATIONAL, "--to", MIRROR, "--dry-run");
  expect(dry).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`from ${OPERATIONAL} to ${MIRROR}, in epoch 3`),
  });
  const refusals = async (...flags: string[]) => {
    const { code, stderr } = await switchover(set, OPERATIONAL, ...flags);
    return `${code} ${/error ([A-Z_]+)/.exec(stderr)?.[1]}`;
  };
  expect(await refusals("--to", "nobody")).toBe("2 SWITCHOVER_TARGET");
  expect(await refusals("--to", OPERATIONAL)).toBe("2 SWITCHOVER_TARGET");
  expect(await refusals("--cancel")).toBe("3 SWITCHOVER_NONE");
  await afterimage(["pause", "--node", MIRROR], { cwd: set.root });
  await untilSet(set, "it pauses", () => set.status(MIRROR)?.state === "paused");
  expect(await refusals("--to", MIRROR)).toBe("3 SWITCHOVER_HELD");
  await afterimage(["resume", "--node", MIRROR], { cwd: set.root });
  await untilSet(set, "it goes on", () => set.status(MIRROR)?.state === "connected");
  await afterimage(["fence", "--node", OPERATIONAL], { cwd: set.root });
  expect(await refusals("--to", MIRROR)).toBe("3 SWITCHOVER_FENCED");
  await afterimage(["unfence", "--node", OPERATIONAL], { cwd: set.root });
  const onMirror = await switchover(set, MIRROR, "--to", OPERATIONAL);
  expect(onMirror).toMatchObject({ code: 3, stderr: expect.stringContaining("NOT_OPERATIONAL") });
  await set.daemon(MIRROR)?.terminate();
  const down = await switchover(set, OPERATIONAL, "--to", MIRROR);
  expect(down).toMatchObject({ code: 6, stderr: expect.stringContaining("SWITCHOVER_DOWN") });
  expect(await isFenced(set.databasePath(OPERATIONAL))).toBe(false);
  expect(readEvents(set, OPERATIONAL).map(({ code }) => code)).not.toContain("SWITCHOVER_BEGUN");
});
