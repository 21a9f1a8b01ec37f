import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { StateStore } from "../../src/journal/state-store.ts";
import { decodeEpoch, type EpochDocument } from "../../src/roles/role-documents.ts";
import { startAfterimage } from "./afterimage.ts";
import { Pair } from "./pair.ts";

const AT = Date.parse("2026-03-02T03:14:15.000Z");
const START = "1:0000000000000007:8000000000000001";

function storeOf(pair: Pair): StateStore {
  return StateStore.open(join(pair.set.statePath("porto"), "state.db"), { mirror: "demo", member: "porto" });
}

test("history shows who was operational, since when and from where; events what happened, by level and database", async () => {
  const pair = new Pair();
  {
    using store = storeOf(pair);
    const epochs: EpochDocument[] = [
      { epoch: 1, member: "lisbon", reason: "initial", startedAt: "2026-03-01T00:00:00.000Z", starts: {} },
      {
        epoch: 3,
        member: "porto",
        reason: "promotion",
        startedAt: new Date(AT).toISOString(),
        starts: { shop: START },
      },
    ];
    store.addEpochs(epochs.map(decodeEpoch));
    store.addEvent({ atMs: AT, level: "info", code: "EPOCH_LEARNED", database: null, message: "one" });
    store.addEvent({ atMs: AT, level: "warn", code: "PROMOTED", database: null, message: "two", data: { epoch: 3 } });
    store.addEvent({ atMs: AT, level: "error", code: "SEGMENT_CHAIN", database: "shop", message: "three" });
  }
  expect((await pair.run("porto", "history")).stdout.split("\n").map((line) => line.trim().split(/ {2,}/))).toEqual([
    ["Epoch", "Member", "Reason", "Started", "Database", "Begins at"],
    ["1", "lisbon", "initial", "2026-03-01T00:00:00.000Z"],
    ["3", "porto", "promotion", "2026-03-02T03:14:15.000Z", "shop", START],
    [""],
  ]);
  expect((await pair.json("porto", "history")).epochs[1]).toEqual({
    epoch: 3,
    member: "porto",
    reason: "promotion",
    startedAt: "2026-03-02T03:14:15.000Z",
    starts: { shop: START },
  });

  const messages = async (...args: string[]) =>
    (await pair.json("porto", "events", ...args)).events.map(({ message }: { message: string }) => message);
  expect(await messages()).toEqual(["one", "two", "three"]);
  expect(await messages("--level", "warn")).toEqual(["two", "three"]);
  expect(await messages("--level", "error")).toEqual(["three"]);
  expect(await messages("--database", "shop")).toEqual(["three"]);
  expect(await messages("--limit", "2")).toEqual(["two", "three"]);
  expect((await pair.json("porto", "events", "--level", "warn", "--limit", "2")).events[0]).toEqual({
    ...{ id: 2, level: "warn", code: "PROMOTED", database: null, message: "two", data: { epoch: 3 } },
    time: "2026-03-02T03:14:15.000Z",
  });
  expect((await pair.run("porto", "events", "--level", "error")).stdout).toMatch(
    /error {2}SEGMENT_CHAIN {2}shop +three/,
  );
  expect(await pair.run("porto", "events", "--level", "bad")).toMatchObject({ code: 2 });
}, 60_000);

test("a member that was never started has neither", async () => {
  const pair = new Pair();
  for (const command of ["history", "events"]) {
    const { code, stderr } = await pair.run("porto", command);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("error STATE_MISSING") });
  }
});

test("events are followed as they come, from the newest that are there on", async () => {
  const pair = new Pair();
  using store = storeOf(pair);
  const happens = (message: string, level: "info" | "warn") =>
    store.addEvent({ atMs: AT, level, code: "TRIED", database: "shop", message });
  for (const message of ["one", "two"]) happens(message, "warn");
  const args = [
    "events",
    "--follow",
    "--level",
    "warn",
    "--limit",
    "1",
    "--config",
    pair.set.configPath,
    "--node",
    "porto",
  ];
  const { child, ended } = startAfterimage(args, { cwd: pair.set.root });
  if (child.stdout === null) throw new Error("the program has no output");
  const seen: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    seen.push(line.split(/ {2,}/).slice(1).join(" "));
    if (seen.length === 1) {
      happens("three", "info");
      happens("four", "warn");
    }
    if (seen.length === 2) break;
  }
  child.kill("SIGINT");
  expect(await ended).toMatchObject({ signal: "SIGINT", stderr: "" });
  expect(seen).toEqual(["warn TRIED shop two", "warn TRIED shop four"]);
});
