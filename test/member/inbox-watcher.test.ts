import { mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { InboxWatcher } from "../../src/member/inbox-watcher.ts";
import type { Member } from "../../src/member/member.ts";
import { Signal } from "../../src/member/signal.ts";
import { CLINIC, inboxPath, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function codesOf(porto: Member): string[] {
  return porto.context.store.events({}).map(({ code }) => code);
}

/** Puts files there until the watcher reports one. One signal may be of its predecessor, and one says that it is ready. */
async function untilHeard(directory: string, arrived: Signal): Promise<void> {
  for (let signals = 0; signals < 3; signals++) await untilSet(directory, arrived);
}

async function untilSet(directory: string, arrived: Signal): Promise<void> {
  const stop = new AbortController();
  let heard = false;
  const waiting = arrived.wait(60_000, stop.signal).then(() => {
    heard = true;
  });
  let files = 0;
  await waitUntil(
    () => {
      if (!heard) writeFileSync(join(directory, `file-${files++}`), "");
      return heard;
    },
    { what: "a report", stalledAfterMs: 30_000, progress: () => String(files > 500) },
  );
  stop.abort();
  await waiting;
}

test("a watcher that says nothing of what is found is reported once, replaced by looking, and made anew", async () => {
  const root = temporaryDirectory();
  let nowMs = 1_000_000;
  await using porto = await openMember(root, "porto", () => nowMs);
  const directory = join(root, "watched");
  mkdirSync(directory);
  const arrived = new Signal();
  const watcher = new InboxWatcher(porto.context, { database: CLINIC, directory, arrived }, { retryMs: 5_000 });
  onTestFinished(() => watcher.close());
  await untilHeard(directory, arrived);
  await watcher.looked(1);
  const watched = watcher.intervalMs;

  // As on a file system that tells nobody what other machines write.
  for (let i = 0; i < 3; i++) await watcher.looked(1);
  expect(codesOf(porto)).toEqual(["WATCHER_SILENT"]);
  expect(watcher.intervalMs).toBeLessThan(watched);
  for (let i = 0; i < 3; i++) await watcher.looked(1);
  expect(codesOf(porto)).toEqual(["WATCHER_SILENT"]);

  nowMs += 5_000;
  await watcher.looked(0);
  expect(watcher.intervalMs).toBe(watched);
  await untilHeard(directory, arrived);
  await watcher.looked(1);
  expect(codesOf(porto)).toEqual(["WATCHER_SILENT", "WATCHER_BACK"]);
});

test("a watcher of a directory that was removed and made anew is noticed, or hears again", async () => {
  const root = temporaryDirectory();
  let nowMs = 1_000_000;
  await using porto = await openMember(root, "porto", () => nowMs);
  const directory = join(root, "watched");
  mkdirSync(directory);
  const arrived = new Signal();
  const watcher = new InboxWatcher(porto.context, { database: CLINIC, directory, arrived }, { retryMs: 1 });
  onTestFinished(() => watcher.close());
  await untilHeard(directory, arrived);
  await watcher.looked(1);
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
  for (let i = 0; i < 4; i++) {
    writeFileSync(join(directory, `late-${i}`), "");
    await watcher.looked(1);
  }
  nowMs += 10;
  await watcher.looked(0);
  await untilHeard(directory, arrived);
});

test("an inbox that somebody has removed is as good as empty", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  rmSync(inboxPath(root, "porto"), { recursive: true });
  expect(await porto.integrate()).toMatchObject([{ transactions: 0 }]);
});

test("temporary files are removed after a day, but those of a segment that may still come are kept", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  const inbox = inboxPath(root, "porto");
  const days = (count: number) => Date.now() / 1000 - count * 86_400 - 60;
  const files: readonly [string, number][] = [
    [".0000000000000001-0000000000000001.ltx.0123456789abcdef.01234567.part", 2],
    [".0000000000000002-0000000000000002.ltx.01234567.part", 0],
    [".0000000000000003-0000000000000003.ltx.01234567.part", 15],
    [".notes.txt.01234567.part", 2],
    [".notes.txt.01234568.part", 0],
  ];
  for (const [name, age] of files) {
    writeFileSync(join(inbox, name), "half");
    utimesSync(join(inbox, name), days(age), days(age));
  }
  await porto.integrate();
  expect(readdirSync(inbox).sort()).toEqual([files[0]?.[0], files[1]?.[0], files[4]?.[0]]);
});
