import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { LifeSigns } from "../../src/member/life-signs.ts";

const HEARTBEATS = ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:02.000Z"] as const;
const RUN = { instance: "a", start: 1, session: "first", beat: 7 };

test("nothing was heard of a member before a document was read", () => {
  const signs = new LifeSigns();
  expect(signs.heardAtMs("lisbon")).toBeNull();
  expect([...signs.movesOf("lisbon")]).toEqual([]);
});

test("a heartbeat that is read again is no news, and one that has moved is", async () => {
  const signs = new LifeSigns();
  const tell = (heartbeat: string) => signs.note({ member: "lisbon", heartbeat });
  tell(HEARTBEATS[0]);
  const firstMs = signs.heardAtMs("lisbon");
  await sleep(5);
  tell(HEARTBEATS[0]);
  expect(signs.heardAtMs("lisbon")).toBe(firstMs);
  expect([...signs.movesOf("lisbon")]).toEqual([["lisbon", 0]]);
  tell(HEARTBEATS[1]);
  expect(signs.heardAtMs("lisbon")).toBeGreaterThan(firstMs ?? Number.POSITIVE_INFINITY);
  expect([...signs.movesOf("lisbon")]).toEqual([["lisbon", 1]]);
});

test("what others have seen of a member is news of that member, and of nobody else", () => {
  const signs = new LifeSigns();
  const heartbeat = HEARTBEATS[0];
  signs.note({ member: "faro", heartbeat, seen: { lisbon: RUN } });
  signs.note({ member: "faro", heartbeat, seen: { lisbon: { ...RUN, beat: 8 } } });
  signs.note({ member: "faro", heartbeat, seen: { lisbon: { ...RUN, start: 2, session: "second", beat: 8 } } });
  expect([...signs.movesOf("lisbon")]).toEqual([["faro", 2]]);
  expect([...signs.movesOf("faro")]).toEqual([["faro", 0]]);
  expect(signs.heardAtMs("porto")).toBeNull();
});
