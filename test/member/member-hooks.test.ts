import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { untilConsented } from "../../src/cli/promote.ts";
import type { HookEvent } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { DutyErrors } from "../../src/member/duty-errors.ts";
import { Member } from "../../src/member/member.ts";
import { MemberError } from "../../src/member/member-error.ts";
import { Quarantine } from "../../src/member/quarantine.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { program } from "../hooks/hook-program.ts";
import { addVisits, CLINIC, createClinic, databasePath } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const TOLD = `echo "$1 $AFTERIMAGE_OLD_ROLE>$AFTERIMAGE_ROLE $AFTERIMAGE_OLD_EPOCH>$AFTERIMAGE_EPOCH" >> "$dir/told"`;
const DOCUMENTS = 'cat >> "$dir/told"';

type Programs = Partial<Record<HookEvent, string>>;

async function open(root: string, member: string, hooks: Programs): Promise<Member> {
  const entry = (name: string) => ({
    mailbox: `file://${join(root, name, "mailbox")}`,
    state: join(root, name, "state"),
    databases: { [CLINIC]: databasePath(root, name) },
    ...(name === member ? { hooks } : {}),
  });
  const path = join(root, `${member}.yaml`);
  const members = { lisbon: entry("lisbon"), porto: entry("porto") };
  writeFileSync(path, stringify({ mirror: "clinic", operational: "lisbon", members }));
  return await Member.open({ configuration: loadConfiguration(path), member, logger: pino({ level: "silent" }) });
}

/** A member that is served in this process, until `stop` or the end of the test. */
async function serve(root: string, name: string, hooks: Programs = {}) {
  const member = await open(root, name, hooks);
  const halt = new AbortController();
  const done = member.run(halt.signal);
  const stop = async () => {
    halt.abort();
    await done;
    await member.close();
  };
  onTestFinished(stop);
  return { member, stop };
}

function told(directory: string): string[] {
  const path = join(directory, "told");
  return existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
}

async function until(what: string, condition: () => boolean): Promise<void> {
  await waitUntil(() => condition() || null, { what, stalledAfterMs: 30_000, progress: () => "" });
}

function isLevel(mirror: Member, operational: Member): boolean {
  const end = operational.context.store.database(CLINIC)?.received?.txid;
  return end !== undefined && mirror.context.store.database(CLINIC)?.integrated?.txid === end;
}

test("programs are told of a promotion, and of the deposition, in order and once, also over restarts", async () => {
  const root = temporaryDirectory();
  createClinic(databasePath(root, "lisbon")).close();
  const { path, directory } = program(TOLD);
  const all: Programs = { afterPromote: path, beforeFence: path, afterFence: path, roleChanged: path };
  const lisbon = await serve(root, "lisbon", all);
  const first = await serve(root, "porto");
  await until("porto is level", () => isLevel(first.member, lisbon.member));
  await until("the first role is told", () => told(directory).length === 1);
  await lisbon.stop();
  await first.stop();

  const veto = program('[ -e "$dir/asked" ] || { touch "$dir/asked"; echo not yet; exit 1; }');
  const porto = await serve(root, "porto", { ...all, beforePromote: veto.path });
  await until("porto's role is told", () => told(directory).length === 2);
  const vetoes: string[] = [];
  const promoted = await untilConsented(() => porto.member.promote({}), {
    onVeto: (message) => vetoes.push(message),
    askAgainMs: 1,
  });
  expect(vetoes).toEqual(["the hook beforePromote does not consent: not yet"]);
  expect(promoted.epoch).toBe(3);
  await until("the promotion is told", () => told(directory).length === 4);

  for (let start = 0; start < 2; start++) {
    const again = await serve(root, "lisbon", all);
    await until("lisbon is deposed", () => again.member.roles.state.role === "deposed");
    await until("the deposition is told", () => told(directory).length === 7);
    await again.member.hooks.idle();
    await again.stop();
  }
  expect(told(directory)).toEqual([
    "roleChanged >operational >1",
    "roleChanged >mirror >1",
    "afterPromote mirror>operational 1>3",
    "roleChanged mirror>operational 1>3",
    "beforeFence operational>deposed 1>3",
    "afterFence operational>deposed 1>3",
    "roleChanged operational>deposed 1>3",
  ]);
}, 90_000);

test("a program that hangs holds neither integration nor the fence, and ends with the daemon", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  const { path, directory } = program('echo $$ >> "$dir/told"; exec sleep 1000');
  const lisbon = await serve(root, "lisbon", { roleChanged: path });
  const porto = await serve(root, "porto", { roleChanged: path });
  await until("both hang", () => told(directory).length === 2);
  addVisits(database, 20);
  database.close();
  await lisbon.member.rotate();
  await until("porto is level", () => isLevel(porto.member, lisbon.member));
  await lisbon.stop();
  await porto.member.promote({ force: "lisbon" });
  expect(await isFenced(databasePath(root, "porto"))).toBe(false);
  const again = await serve(root, "lisbon", { beforeFence: path });
  await until("lisbon's beforeFence hangs", () => told(directory).length === 3);
  await until("lisbon is fenced", () => again.member.ownStatus().databases[CLINIC]?.fenced === true);
  expect(await isFenced(databasePath(root, "lisbon"))).toBe(true);
  await again.stop();
  await porto.stop();
  for (const pid of told(directory)) expect(() => process.kill(Number(pid), 0)).toThrow("ESRCH");
}, 90_000);

test("a promotion that is given up is told once, however often it is tried", async () => {
  const root = temporaryDirectory();
  const { path, directory } = program(DOCUMENTS);
  const veto = program("exit 2");
  await using porto = await open(root, "porto", { promoteFailed: path, beforePromote: veto.path });
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(porto.promote({ force: "lisbon" })).rejects.toMatchObject({ code: "PROMOTION_INCOMPLETE" });
    await porto.hooks.idle();
  }
  expect(told(directory).map((line) => JSON.parse(line))).toMatchObject([
    { event: "promoteFailed", epoch: { old: 1, new: 3 }, details: { code: "PROMOTION_INCOMPLETE" } },
  ]);
  const codes = porto.context.store.events().map(({ code }) => code);
  expect(codes.filter((code) => code === "PROMOTION_VETOED")).toHaveLength(2);
}, 30_000);

test("files that are refused while a program runs are told of together", async () => {
  const root = temporaryDirectory();
  const { path, directory } = program(`${DOCUMENTS}; while [ ! -e "$dir/go" ]; do sleep 0.01; done`);
  await using porto = await open(root, "porto", { quarantined: path });
  const quarantine = new Quarantine(porto.context, CLINIC);
  const refuse = async (name: string) => {
    const file = join(root, name);
    writeFileSync(file, name);
    await quarantine.put(file, name, new MemberError("SEGMENT_CHAIN", `${name} is bad`));
  };
  await refuse("one");
  await until("the first is told", () => told(directory).length === 1);
  for (const name of ["two", "three", "three", "four"]) await refuse(name);
  writeFileSync(join(directory, "go"), "");
  await porto.hooks.idle();
  const details = { database: CLINIC, code: "SEGMENT_CHAIN" };
  expect(told(directory).map((line) => JSON.parse(line))).toMatchObject([
    { event: "quarantined", role: { old: "mirror", new: "mirror" }, details: { ...details, files: 1 } },
    { event: "quarantined", details: { ...details, files: 3, message: "four is bad" } },
  ]);
});

test("a copy that has diverged is told once in an epoch; what fails is an event, once, and is told again", async () => {
  const root = temporaryDirectory();
  const { path, directory } = program(`${DOCUMENTS}; [ -e "$dir/go" ]`);
  await using porto = await open(root, "porto", { diverged: path });
  const report = async () => {
    new DutyErrors(porto.context, CLINIC).report(new MemberError("DIVERGED", "not in epoch 3"));
    await porto.hooks.idle();
  };
  await report();
  await report();
  const failures = () => porto.context.store.events().filter(({ code }) => code === "HOOK_FAILED");
  expect(failures()).toMatchObject([{ level: "error", data: { event: "diverged" } }]);
  writeFileSync(join(directory, "go"), "");
  await report();
  await report();
  expect(told(directory).map((line) => JSON.parse(line).details)).toEqual(
    new Array(3).fill({ database: CLINIC, message: "not in epoch 3" }),
  );
});
