import fc from "fast-check";
import { expect, test } from "vitest";
import { ALERT_CODES, ALERTS } from "../../src/alerts/alert-catalogue.ts";
import {
  type AlertChange,
  type AlertRegister,
  CLEAR_AFTER_MS,
  judge,
  openRegister,
  raisedIn,
} from "../../src/alerts/alert-register.ts";
import type { Finding } from "../../src/alerts/alert-rules.ts";

const SUBJECTS = [null, "patients", "faro"] as const;

function finding(fields: Partial<Finding>): Finding {
  const { code = "QUARANTINE", state = "bad", message = "m", subject = null } = fields;
  return { ...{ code, state, message, subject }, database: null, raiseAfterMs: 0, hint: "h", ...fields };
}

let ids = 0;
const makeId = () => `id${++ids}`;

class Watched {
  register: AlertRegister = new Map();
  readonly changes: (AlertChange & { readonly clockMs: number })[] = [];
  #clockMs = 0;

  look(afterMs: number, ...findings: Finding[]): AlertChange["kind"][] {
    this.#clockMs += afterMs;
    const look = { findings, nowMs: 1_000_000 + this.#clockMs, clockMs: this.#clockMs, makeId };
    const { register, changes } = judge(this.register, look);
    this.register = register;
    this.changes.push(...changes.map((change) => ({ ...change, clockMs: this.#clockMs })));
    return changes.map(({ kind }) => kind);
  }

  /** As the state keeps it. */
  restart(): void {
    this.register = openRegister(JSON.parse(JSON.stringify(raisedIn(this.register))));
    this.#clockMs = 0;
  }
}

test("an alert is raised once and cleared once, after it has been good for a while", () => {
  const watched = new Watched();
  expect(watched.look(0, finding({}))).toEqual(["raised"]);
  expect(watched.look(60_000, finding({ message: "worse" }))).toEqual([]);
  expect(raisedIn(watched.register)).toMatchObject([{ message: "worse", sinceMs: 1_000_000 }]);
  expect(watched.look(1_000, finding({ state: "good" }))).toEqual([]);
  expect(watched.look(CLEAR_AFTER_MS - 1, finding({ state: "good" }))).toEqual([]);
  expect(watched.look(1, finding({ state: "good" }))).toEqual(["cleared"]);
  expect(watched.look(60_000, finding({ state: "good" }))).toEqual([]);
});

test("what is bad for a moment, good for a moment, or unclear changes nothing", () => {
  const watched = new Watched();
  const raiseAfterMs = 5_000;
  for (const state of ["bad", "good", "bad", "unclear", "bad"] as const)
    expect(watched.look(4_000, finding({ state, raiseAfterMs }))).toEqual([]);
  expect(watched.look(5_000, finding({ raiseAfterMs }))).toEqual(["raised"]);
  expect(watched.changes[0]?.alert.sinceMs).toBe(1_000_000 + 20_000);
  for (const state of ["good", "bad", "good", "unclear", "good"] as const)
    expect(watched.look(CLEAR_AFTER_MS - 1, finding({ state, raiseAfterMs }))).toEqual([]);
});

test("what is not looked at any more is over", () => {
  const watched = new Watched();
  watched.look(0, finding({ subject: "faro" }));
  expect(watched.look(1)).toEqual([]);
  expect(watched.look(CLEAR_AFTER_MS)).toEqual(["cleared"]);
  expect(watched.register.size).toBe(0);
});

const steps = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 3 * CLEAR_AFTER_MS })),
    restart: fc.boolean(),
    findings: fc.uniqueArray(
      fc.record({
        code: fc.constantFrom(...ALERT_CODES.slice(0, 3)),
        subject: fc.constantFrom(...SUBJECTS),
        state: fc.constantFrom("bad", "good", "unclear"),
        raiseAfterMs: fc.constantFrom(0, 7_000),
      }),
      { selector: ({ code, subject }) => `${code} ${subject}` },
    ),
  }),
  { maxLength: 40 },
);

test("over any history, also with restarts, raisings and clearings of each alert alternate, and have one cause each", () => {
  fc.assert(
    fc.property(steps, (history) => {
      const watched = new Watched();
      for (const { afterMs, restart, findings } of history) {
        const before = watched.changes.length;
        if (restart) watched.restart();
        expect(watched.changes.length).toBe(before);
        watched.look(afterMs, ...findings.map((each) => finding(each)));
        for (const { kind, alert } of watched.changes.slice(before)) {
          const cause = findings.find(({ code, subject }) => code === alert.code && subject === alert.subject);
          expect([kind, cause?.state ?? "good"]).toEqual([kind, kind === "raised" ? "bad" : "good"]);
        }
      }
      const keys = new Set(watched.changes.map(({ alert }) => `${alert.code} ${alert.subject}`));
      for (const key of keys) {
        const own = watched.changes.filter(({ alert }) => `${alert.code} ${alert.subject}` === key);
        own.forEach(({ kind, alert }, i) => {
          expect(kind).toBe(i % 2 === 0 ? "raised" : "cleared");
          expect(alert.level).toBe(ALERTS[alert.code].level);
          if (kind === "cleared") expect(alert.id).toBe(own[i - 1]?.alert.id);
        });
        const raised = own.filter(({ kind }) => kind === "raised").map(({ alert }) => alert.id);
        expect(new Set(raised).size).toBe(raised.length);
      }
      const open = [...keys].filter(
        (key) =>
          watched.changes.filter(({ alert }) => `${alert.code} ${alert.subject}` === key).at(-1)?.kind === "raised",
      );
      expect(
        raisedIn(watched.register)
          .map(({ code, subject }) => `${code} ${subject}`)
          .sort(),
      ).toEqual(open.sort());
    }),
    { numRuns: 500 },
  );
});
