import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { type DrillOptions, drill } from "../../src/runbook/drill.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import {
  codesOf,
  endOf,
  type ServedMember,
  servedPair,
  until,
  visitsPath,
  writeVisits,
} from "../support/served-members.ts";

function options({ member }: ServedMember, more: Partial<DrillOptions> = {}): DrillOptions {
  const { configuration, self } = member.context;
  return {
    ...{ configuration, self, control: member, databases: [], script: null, scriptLimitMs: 10_000, directory: null },
    ...{ keep: false, signal: new AbortController().signal },
    ...more,
  };
}

function program(root: string, text: string): string {
  const path = join(root, "script.sh");
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

function visitsIn(path: string): number {
  const database = new Database(path);
  const count = Number(database.prepare("SELECT count(*) FROM visit").pluck().get());
  database.exec("INSERT INTO visit (note) VALUES ('after the drill')");
  database.close();
  return count;
}

test("copies are promoted with what waits, the mirror stays as it is, and nothing is left but an event", async () => {
  const { root, lisbon, porto } = await servedPair(20);
  await porto.member.pause();
  writeVisits(root, "lisbon", 5);
  await lisbon.member.rotate();
  const received = () => porto.member.context.store.database("visits")?.received?.txid ?? 0n;
  await until(
    "porto has received it",
    () => received() === (lisbon.member.context.store.database("visits")?.received?.txid ?? -1n),
  );
  const before = endOf(porto.member);

  const seen = join(root, "seen.json");
  const script = program(root, `cat > ${seen}; path=$(sed 's/.*"visits":"//; s/".*//' ${seen}); test -s "$path"`);
  const steps: string[] = [];
  const result = await drill(options(porto, { script, onStep: ({ step }) => steps.push(step) }));
  expect(result).toMatchObject({
    member: "porto",
    ok: true,
    databases: [
      { database: "visits", error: null, copy: { check: "integrity_check", segments: 1, foreignKeyProblems: 0 } },
    ],
    script: { error: null },
    losses: [{ database: "visits", transactions: 0 }],
    kept: null,
  });
  expect(steps).toEqual([
    "drill:begun",
    "drill:copied",
    "drill:integrated",
    "drill:served",
    "drill:scripted",
    "drill:removed",
  ]);
  expect(JSON.parse(readFileSync(seen, "utf8"))).toMatchObject({ event: "drill", member: "porto" });
  expect(endOf(porto.member)).toBe(before);
  expect(porto.member.roles.state).toEqual({ role: "mirror", epoch: 1 });
  expect(await isFenced(visitsPath(root, "porto"))).toBe(true);
  expect(readdirSync(porto.member.context.self.state).filter((name) => name.startsWith("drill"))).toEqual([]);
  expect(codesOf(porto.member)).toContain("DRILL_PASSED");
  await porto.member.resume();
  await until("porto goes on", () => endOf(porto.member) === endOf(lisbon.member));
}, 60_000);

test("kept copies can be written to by applications, and the next drill leaves them alone", async () => {
  const { root, porto } = await servedPair(7);
  const directory = join(root, "elsewhere");
  mkdirSync(directory);
  const { kept, databases } = await drill(options(porto, { keep: true, directory }));
  expect(kept).toMatch(/elsewhere\/drill-porto-\d{8}T/);
  expect(databases[0]?.copy?.bytes).toBeGreaterThan(0);
  expect(visitsIn(join(kept ?? "", "visits.db"))).toBe(7);
  await drill(options(porto, { directory }));
  expect(readdirSync(directory)).toHaveLength(1);
}, 60_000);

test("a script that finds fault, or takes too long, fails the drill, and an event says so", async () => {
  const { root, porto } = await servedPair(2);
  const faulty = await drill(options(porto, { script: program(root, "echo no patients >&2; exit 3") }));
  expect(faulty).toMatchObject({ ok: false, script: { error: { code: "DRILL_SCRIPT" } } });
  expect(faulty.script?.error?.message).toMatch(/ended with 3: no patients$/);
  const slow = program(root, "sleep 60");
  expect(await drill(options(porto, { script: slow, scriptLimitMs: 300 }))).toMatchObject({
    ok: false,
    script: { error: { message: expect.stringContaining("was not done after 0.3 s") } },
  });
  const absent = await drill(options(porto, { script: join(root, "absent") }));
  expect(absent.script?.error?.message).toContain("cannot be started");
  expect(codesOf(porto.member).filter((code) => code === "DRILL_FAILED")).toHaveLength(3);
}, 60_000);

test("what a killed drill has left goes with the next one", async () => {
  const { porto } = await servedPair(2);
  const left = join(porto.member.context.self.state, "drill-porto");
  mkdirSync(left);
  writeFileSync(join(left, "visits.db"), "half a copy");
  expect(await drill(options(porto))).toMatchObject({ ok: true });
  expect(existsSync(left)).toBe(false);
}, 60_000);

test("an operational member, an unknown database, and a copy for which there is no room are refused", async () => {
  const { lisbon, porto } = await servedPair(2);
  await expect(drill(options(lisbon))).rejects.toMatchObject({ code: "NOT_A_MIRROR" });
  await expect(drill(options(porto, { databases: ["shop"] }))).rejects.toMatchObject({ code: "DATABASE_UNKNOWN" });
  const { configuration } = porto.member.context;
  const journal = { ...configuration.journal, minFreeBytes: Number.MAX_SAFE_INTEGER };
  await expect(drill(options(porto, { configuration: { ...configuration, journal } }))).rejects.toMatchObject({
    code: "DISK_LOW",
  });
  expect(existsSync(join(porto.member.context.self.state, "drill-porto"))).toBe(false);
}, 60_000);
