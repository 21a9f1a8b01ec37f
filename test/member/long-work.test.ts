import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { LongWork, type WorkNote } from "../../src/member/long-work.ts";
import { noteArrivals } from "../../src/member/note-arrivals.ts";
import { openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MIB = 2 ** 20;

/** With a clock that the test moves, and the events that were raised. */
function world() {
  const clock = { nowMs: 0 };
  const events: { code: string; message: string; data: unknown }[] = [];
  const work = new LongWork({
    nowMs: () => clock.nowMs,
    changed: () => undefined,
    event: (_level, code, _database, message, data) => {
      events.push({ code, message, data });
    },
  });
  return { clock, events, work, codes: () => events.map(({ code }) => code) };
}

function seed(done: number, more: Partial<WorkNote> = {}): WorkNote {
  return { kind: "seed", database: "clinic", step: "receiving", done: done * MIB, total: 100 * MIB, ...more };
}

test("what is over within a second is not mentioned", () => {
  const { clock, events, work } = world();
  work.note(seed(0));
  clock.nowMs = 900;
  work.note(seed(50));
  expect(work.views()).toEqual([]);
  expect(work.finish(seed(0), 100 * MIB)).toBeNull();
  expect(events).toEqual([]);
});

test("work shows its rate and the time left, and makes an event at each tenth, at its begin and at its end", () => {
  const { clock, events, work, codes } = world();
  for (let percent = 0; percent <= 100; percent++) {
    clock.nowMs = percent * 200;
    work.note(seed(percent));
    if (percent !== 50) continue;
    expect(work.views()).toEqual([
      {
        ...{ kind: "seed", database: "clinic", step: "receiving", unit: "bytes", since: "1970-01-01T00:00:00.000Z" },
        ...{ done: 50 * MIB, total: 100 * MIB, percent: 50, perSecond: 5 * MIB, secondsLeft: 10 },
      },
    ]);
  }
  expect(work.finish(seed(0), 100 * MIB)).toEqual({ seconds: 20, perSecond: 5 * MIB });
  expect(codes()).toEqual(["SEED_STARTED", ...new Array(10).fill("SEED_PROGRESS"), "SEED_FINISHED"]);
  expect(events[5]?.message).toBe("seed, receiving: 50 %, 50.0 MiB of 100.0 MiB, 5.0 MiB a second, some 10 s left");
  expect(events.at(-1)).toMatchObject({
    message: "seed finished: 100.0 MiB in 20 s",
    data: { bytes: 100 * MIB, seconds: 20 },
  });
  expect(work.views()).toEqual([]);
});

test("work of days makes a few events, and not one every half minute", () => {
  const { clock, work, codes } = world();
  for (let second = 0; second < 2 * 86_400; second++) {
    clock.nowMs = second * 1000;
    work.note({ kind: "backup", database: "clinic", step: "copying", done: second, total: null });
  }
  const progress = codes().filter((code) => code === "BACKUP_PROGRESS").length;
  expect(progress).toBeGreaterThan(5);
  expect(progress).toBeLessThan(20);
});

test("each step is counted anew, and an event says which it is", () => {
  const { clock, work, codes } = world();
  work.note(seed(0));
  clock.nowMs = 1000;
  work.note(seed(100));
  clock.nowMs = 2000;
  work.note(seed(10, { step: "writing" }));
  expect(work.views()).toMatchObject([{ step: "writing", percent: 10, perSecond: null }]);
  expect(codes()).toEqual(["SEED_STARTED", "SEED_PROGRESS"]);
});

test("work of a process that is gone is stopped, and that of one that waits goes on", async () => {
  const { clock, work, codes } = world();
  const child = spawn("sleep", ["1000"]);
  const note = { kind: "backup", database: "clinic", step: "copying", done: 1, total: 2 } as const;
  work.note({ ...note, pid: child.pid ?? 0, elapsedMs: 5000 });
  work.note({ ...note, pid: process.pid, elapsedMs: 5000 });
  clock.nowMs = 60_000;
  expect(work.views()).toHaveLength(2);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(work.views()).toHaveLength(1);
  expect(codes()).toEqual(["BACKUP_STARTED", "BACKUP_STARTED", "BACKUP_STOPPED"]);
});

test("a first copy is noted as it comes, is checked and written, and is no seed any more when there is one", async () => {
  await using porto = await openMember(temporaryDirectory(), "porto");
  const status = porto.ownStatus();
  const { clock, work, codes } = world();
  const database = status.databases.clinic;
  if (database === undefined) throw new Error("no database");
  const look = (more: object) => {
    clock.nowMs += 2000;
    noteArrivals({ work }, { ...status, databases: { clinic: { ...database, ...more } } });
    return work.views().map(({ kind, step, percent }) => `${kind} ${step} ${percent}`);
  };
  expect(look({})).toEqual([]);
  look({ receiving: { bytes: 10, total: null } });
  expect(look({ receiving: { bytes: 50, total: 100 } })).toEqual(["seed receiving 50"]);
  expect(look({ receiving: null })).toEqual(["seed checking null"]);
  const position = { epoch: 1, txid: "0000000000000001", checksum: "0000000000000001", time: null };
  expect(look({ received: position, integrated: position })).toEqual([]);
  expect(codes()).toEqual(["SEED_STARTED", "SEED_STOPPED"]);
  expect(look({ receiving: { bytes: 1, total: 2 } })).toEqual([]);
  expect(look({ receiving: { bytes: 1, total: 2 } })).toEqual(["seed receiving 50"]);
  noteArrivals({ work }, { ...status, role: "operational" });
  expect(work.views()).toEqual([]);
});
