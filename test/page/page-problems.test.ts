import { expect, test } from "vitest";
import { pageProblems, verdict } from "../../src/page/page-problems.ts";
import type { MemberStatus } from "../../src/status/member-status.ts";
import { anError } from "../http/health-facts.ts";
import { known, lisbonOf, receipts, silent, statusOf } from "./page-facts.ts";

function judged(...members: MemberStatus[]): { level: string; text: string; codes: string[] } {
  const problems = pageProblems(
    members.map((member) => known(member)),
    0,
  );
  const found = problems.map(({ level, member, code }) => `${level} ${member} ${code}`);
  return { ...verdict(problems, members), codes: found };
}

function alert(code: string, level: "warn" | "error", subject: string | null = null) {
  return { code, level, subject, message: `about ${code}`, hint: "look", since: "2026-03-01T12:00:00.000Z" };
}

test("a set that is well has no problems", () => {
  expect(judged(lisbonOf(), statusOf())).toEqual({
    level: "ok",
    text: "lisbon is operational, and its mirror follows",
    codes: [],
  });
});

test("alerts and errors of all members come together, the worst first, and none twice", () => {
  const lisbon = lisbonOf({ alerts: [alert("SPOOL_LARGE", "warn")] }, { error: anError("CAPTURE_FAILED") });
  const porto = statusOf(
    { alerts: [alert("DATABASE_ERROR", "error", "DISK_LOW")] },
    { error: anError("DISK_LOW"), warnings: [anError("WAL_NOT_SHORTENED")] },
  );
  const { level, text, codes } = judged(lisbon, porto);
  expect(codes).toEqual([
    "error lisbon CAPTURE_FAILED",
    "error porto DATABASE_ERROR",
    "warn lisbon SPOOL_LARGE",
    "warn porto WAL_NOT_SHORTENED",
  ]);
  expect([level, text]).toEqual(["error", "lisbon, shop: at /srv/secret; and 3 more"]);
});

test("the operational member that is silent is an error, a mirror a warning, and what they said before does not count", () => {
  const noisy = { alerts: [alert("SPOOL_LARGE", "warn")] };
  expect(judged(silent(lisbonOf({ ...noisy, followers: {} })), statusOf()).codes).toEqual(["error lisbon MEMBER_DOWN"]);
  expect(judged(lisbonOf({ followers: {} }), silent(statusOf(noisy))).codes).toEqual(["warn porto MEMBER_DOWN"]);
  // Since when is said by the clock of the machine that answers.
  const away = pageProblems([known(lisbonOf({ followers: {} })), known(silent(statusOf()), 30)], 90_000);
  expect(away[0]?.since).toBe("1970-01-01T00:01:00.000Z");
  expect(judged(lisbonOf({ followers: { porto: receipts() } }), silent(statusOf(noisy))).codes).toEqual([]);
});

test("nobody operational, a fence, a set without mirrors, and a database that a mirror lacks are said", () => {
  expect(judged(statusOf()).codes).toContain("error porto NO_OPERATIONAL");
  expect(judged(lisbonOf({ state: "fenced" }), statusOf()).codes).toEqual(["error lisbon FENCED"]);
  expect(judged(lisbonOf()).level).toBe("warn");
  expect(judged(lisbonOf(), { ...statusOf(), databases: {} }).codes).toEqual(["warn porto DATABASES_MISSING"]);
});

test("a mirror that hears nothing of the operational member is no good news", () => {
  const deaf = statusOf({ upstreamAgeSeconds: 25 });
  expect(judged(lisbonOf(), deaf)).toMatchObject({ level: "warn", text: "porto waits for the operational member" });
});
