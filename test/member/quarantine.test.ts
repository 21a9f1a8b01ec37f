import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Member } from "../../src/member/member.ts";
import { MemberError, type MemberErrorCode } from "../../src/member/member-error.ts";
import { Quarantine } from "../../src/member/quarantine.ts";
import { refusedFiles } from "../support/arrivals.ts";
import { CLINIC, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

async function openMirror(root: string): Promise<Member> {
  const porto = await openMember(root, "porto");
  onTestFinished(() => porto.close());
  return porto;
}

async function refuse(quarantine: Quarantine, root: string, contents: string, code: MemberErrorCode = "SEGMENT_NAME") {
  const path = join(root, "arrived");
  writeFileSync(path, contents);
  await quarantine.put(path, "arrived.ltx", new MemberError(code, "it is not right"));
}

function contentsIn(root: string): string[] {
  const names = readdirSync(join(root, "porto", "state", "quarantine", CLINIC));
  return names.filter((name) => name.endsWith(".ltx"));
}

function codesOf(porto: Member): string[] {
  return porto.context.store.events({}).map(({ code }) => code);
}

test("the same contents are kept once, however often they come, also after a restart", async () => {
  const root = temporaryDirectory();
  const porto = await openMirror(root);
  const first = new Quarantine(porto.context, CLINIC);
  await refuse(first, root, "one");
  await refuse(first, root, "one");
  const second = new Quarantine(porto.context, CLINIC);
  await refuse(second, root, "one");
  await refuse(second, root, "two");
  expect(contentsIn(root)).toHaveLength(2);
  expect(refusedFiles(root, "porto", CLINIC).map(({ times }) => times)).toEqual([3, 1]);
  expect(codesOf(porto)).toEqual(["SEGMENT_NAME", "SEGMENT_NAME"]);
  expect(second.count).toBe(2);
});

test("what somebody has removed is kept anew when it comes again", async () => {
  const root = temporaryDirectory();
  const porto = await openMirror(root);
  const quarantine = new Quarantine(porto.context, CLINIC);
  await refuse(quarantine, root, "one");
  rmSync(join(root, "porto", "state", "quarantine", CLINIC), { recursive: true });
  await refuse(quarantine, root, "one");
  expect(contentsIn(root)).toHaveLength(1);
});

test("when there are too many, damaged ones go before those of another history, and every reason stays", async () => {
  const root = temporaryDirectory();
  const porto = await openMirror(root);
  const quarantine = new Quarantine(porto.context, CLINIC, { files: 10, bytes: 1000 });
  for (let i = 0; i < 5; i++) await refuse(quarantine, root, `foreign ${i}`, "SEGMENT_CHAIN");
  for (let i = 0; i < 20; i++) await refuse(quarantine, root, `damaged ${i}`);
  expect(contentsIn(root).length).toBeLessThanOrEqual(10);
  expect(refusedFiles(root, "porto", CLINIC)).toHaveLength(25);
  expect(codesOf(porto)).toContain("QUARANTINE_FULL");
  const left = new Set(contentsIn(root).map((name) => name.split("-")[1]));
  const reasons = readdirSync(join(root, "porto", "state", "quarantine", CLINIC)).filter((name) =>
    name.endsWith(".json"),
  );
  const kept = refusedFiles(root, "porto", CLINIC).filter((_, i) => left.has(reasons.sort()[i]?.split("-")[1]));
  expect(kept.filter(({ code }) => code === "SEGMENT_CHAIN")).toHaveLength(5);
});

test("bytes count as well, but a single file may be of any size", async () => {
  const root = temporaryDirectory();
  const porto = await openMirror(root);
  const quarantine = new Quarantine(porto.context, CLINIC, { files: 10, bytes: 1000 });
  await refuse(quarantine, root, "x".repeat(5000));
  expect(contentsIn(root)).toHaveLength(1);
  await refuse(quarantine, root, "y".repeat(900));
  expect(refusedFiles(root, "porto", CLINIC)).toHaveLength(2);
  expect(contentsIn(root)).toHaveLength(1);
});
