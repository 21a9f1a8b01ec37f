import fc from "fast-check";
import { expect, test } from "vitest";
import { type Position, parsePosition } from "../../src/ltx/position.ts";
import { type Epoch, EpochHistory, nextEpoch } from "../../src/roles/epoch-history.ts";

const NAMES = ["lisbon", "porto", "faro"];

function at(text: string): Position {
  const position = parsePosition(text.replace(/:(\d+):(\w)$/, (_, txid, sum) => `:${hex(txid)}:${sum.repeat(16)}`));
  if (position === null) throw new Error(text);
  return position;
}

function hex(decimal: string): string {
  return Number(decimal).toString(16).padStart(16, "0");
}

function epoch(number: number, member: string, start: string | null): Epoch {
  const reason = start === null ? "initial" : "promotion";
  return {
    epoch: number,
    member,
    reason,
    startedAt: "2026-01-01T00:00:00.000Z",
    starts: start === null ? {} : { orders: at(start) },
  };
}

const HISTORY = new EpochHistory([epoch(1, "lisbon", null), epoch(2, "porto", "1:50:a"), epoch(6, "faro", "2:70:b")]);

test("a member's next epoch is the first after the present one that nobody else can begin", () => {
  expect(nextEpoch(1, "porto", NAMES)).toBe(4);
  expect(nextEpoch(1, "faro", NAMES)).toBe(2);
  expect(nextEpoch(1, "lisbon", NAMES)).toBe(3);
  const pair = ["lisbon", "porto"];
  expect([nextEpoch(1, "lisbon", pair), nextEpoch(2, "porto", pair)]).toEqual([2, 3]);
});

test("no two members ever begin one epoch, whatever each of them knows", () => {
  const known = fc.integer({ min: 1, max: 1e6 });
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 2, maxLength: 9 }),
      known,
      known,
      (names, a, b) => {
        const [first = "", second = ""] = names;
        const begun = nextEpoch(a, first, names);
        expect(begun).toBeGreaterThan(a);
        expect(begun).toBeLessThanOrEqual(a + names.length);
        expect(begun).not.toBe(nextEpoch(b, second, names));
      },
    ),
  );
});

test("a position of a former epoch stands within the history up to where the next epoch began", () => {
  expect(HISTORY.standing("orders", at("6:90:c"))).toEqual({ kind: "current" });
  expect(HISTORY.standing("orders", at("1:49:c"))).toEqual({ kind: "within", end: at("1:50:a") });
  expect(HISTORY.standing("orders", at("1:50:a"))).toEqual({ kind: "within", end: at("1:50:a") });
  expect(HISTORY.standing("orders", at("1:51:c"))).toEqual({ kind: "beyond", end: at("1:50:a") });
  expect(HISTORY.standing("orders", at("2:71:c"))).toEqual({ kind: "beyond", end: at("2:70:b") });
});

test("a position that no epoch led to is foreign", () => {
  expect(HISTORY.standing("orders", at("1:50:f"))).toEqual({ kind: "foreign" });
  expect(HISTORY.standing("orders", at("3:60:a"))).toEqual({ kind: "foreign" });
  expect(HISTORY.standing("orders", at("7:60:a"))).toEqual({ kind: "foreign" });
  expect(HISTORY.standing("invoices", at("1:10:a"))).toEqual({ kind: "foreign" });
});

test("a reign that the newest one did not come from has left nothing", () => {
  const history = new EpochHistory([epoch(1, "lisbon", null), epoch(2, "porto", "1:50:a"), epoch(3, "faro", "1:40:b")]);
  expect(history.standing("orders", at("2:60:a"))).toEqual({ kind: "foreign" });
  expect(history.standing("orders", at("1:45:a"))).toEqual({ kind: "beyond", end: at("1:40:b") });
  expect(history.standing("orders", at("1:30:a"))).toEqual({ kind: "within", end: at("1:40:b") });
  expect(() => new EpochHistory([epoch(2, "porto", "3:1:a")])).toThrow(RangeError);
});

test("histories merge in any order, and two reigns in one epoch are no history", () => {
  const [first, second, third] = HISTORY.epochs as [Epoch, Epoch, Epoch];
  const merged = new EpochHistory([third]).merge(new EpochHistory([second, first]));
  expect(merged.epochs).toEqual(HISTORY.epochs);
  expect(HISTORY.merge(new EpochHistory([second]))).toBe(HISTORY);
  expect(() => HISTORY.merge(new EpochHistory([{ ...second, member: "faro" }]))).toThrow(
    expect.objectContaining({ code: "EPOCH_SPLIT" }),
  );
  expect(() => HISTORY.merge(new EpochHistory([epoch(2, "porto", "1:49:a")]))).toThrow(
    expect.objectContaining({ code: "EPOCH_SPLIT" }),
  );
  // The time is for people: a copy of it that differs is no second reign.
  expect(HISTORY.merge(new EpochHistory([{ ...second, startedAt: "2026-02-02T00:00:00.000Z" }]))).toBe(HISTORY);
});
