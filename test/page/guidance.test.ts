/** The commands on the page are those of docs/RUNBOOK.md, for the members that the situation is about. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { guidance } from "../../src/page/guidance.ts";
import type { Situation } from "../../src/page/page-view.ts";
import type { MemberStatus } from "../../src/status/member-status.ts";
import { anError } from "../http/health-facts.ts";
import { SITUATIONS } from "../support/runbook.ts";
import { lisbonOf, receipts, silent, statusOf } from "./page-facts.ts";

const PROSE = readFileSync(new URL("../../docs/RUNBOOK.md", import.meta.url), "utf8");
const WELL = [lisbonOf(), statusOf()];
const DAMAGED = { error: anError("MIRROR_INCONSISTENT") };

function adviceOn(members: readonly MemberStatus[], received: Readonly<Record<string, number>> = {}): Situation[] {
  return guidance({ members, self: "porto", receivedSeconds: (member) => received[member] ?? null });
}

function lost(): MemberStatus[] {
  const faro = statusOf({ member: "faro" });
  return [silent(lisbonOf({ followers: {} })), statusOf(), faro];
}

const CASES: readonly (readonly [string, readonly MemberStatus[], readonly string[]])[] = [
  [
    "all is well",
    WELL,
    ["porto: afterimage check", "lisbon: afterimage switchover --to porto", "porto: afterimage drill"],
  ],
  [
    "the operational member is lost",
    lost(),
    [
      "porto: afterimage salvage --from /mnt/lisbon --dry-run",
      "porto: afterimage promote",
      "lisbon: afterimage demote --yes",
    ],
  ],
  ["nobody is operational", [statusOf()], ["porto: afterimage whois-operational"]],
  [
    "a mirror is away",
    [lisbonOf({ followers: {} }), silent(statusOf())],
    ["porto: sudo systemctl start afterimage", "lisbon: afterimage sync --members porto --timeout 60s"],
  ],
  [
    "the old operational member is back",
    [
      lisbonOf({ member: "porto", followers: {} }),
      statusOf({ member: "lisbon", state: "fenced", errors: [anError("DEPOSED")] }),
    ],
    ["lisbon: afterimage rejoin --dry-run", "lisbon: afterimage rejoin --yes"],
  ],
  [
    "it gave its role up",
    [lisbonOf({ state: "fenced", errors: [anError("DEMOTED")] }), statusOf()],
    ["porto: afterimage promote"],
  ],
  ["it is fenced", [lisbonOf({ state: "fenced" }), statusOf()], ["lisbon: afterimage unfence"]],
  [
    "a copy is damaged",
    [lisbonOf(), statusOf({ state: "inconsistent" }, DAMAGED)],
    ["porto: afterimage verify", "porto: afterimage rebuild shop --yes"],
  ],
  [
    "a switchover is not settled",
    [lisbonOf({ errors: [anError("SWITCHOVER_UNSETTLED")] }), statusOf()],
    ["lisbon: afterimage status"],
  ],
  [
    "a machine was cloned",
    [lisbonOf(), statusOf({ errors: [anError("MEMBER_CLONED")] })],
    ["porto: afterimage status"],
  ],
];

test.each(CASES)("when %s, the commands are those of the runbook", (_, members, expected) => {
  const situations = adviceOn(members);
  const lines = situations.flatMap(({ commands }) => commands.map(({ member, command }) => `${member}: ${command}`));
  expect(lines).toEqual(expect.arrayContaining([...expected]));
  for (const { section, commands } of situations) {
    const steps = SITUATIONS.get(section);
    expect(steps, section).toBeDefined();
    const documented = (steps ?? []).flatMap((step) => step.commands.trimEnd().split("\n"));
    for (const { command } of commands)
      expect(documented.includes(command) || PROSE.includes(`\`${command}\``), `${section}: ${command}`).toBe(true);
  }
});

test("the mirror that has received most is to take over, one of type dr after others, and never one for reports", () => {
  const target = (members: readonly MemberStatus[], received: Readonly<Record<string, number>>) =>
    adviceOn(members, received)
      .flatMap(({ commands }) => commands)
      .find(({ command }) => command === "afterimage promote")?.member;
  expect(target(lost(), { porto: 9, faro: 2 })).toBe("faro");
  expect(target(lost(), { porto: 9 })).toBe("porto");
  const [lisbon, porto] = lost();
  if (lisbon === undefined || porto === undefined) throw new Error("nobody is lost");
  expect(target([lisbon, statusOf({ member: "faro", type: "dr" }), porto], { faro: 2, porto: 9 })).toBe("porto");
  expect(target([lisbon, statusOf({ member: "faro", type: "reporting" })], { faro: 2 })).toBeUndefined();
});

test("a member that another one hears is not taken for lost", () => {
  const hub = lisbonOf({ followers: { porto: receipts(), faro: receipts() } });
  const sections = adviceOn([hub, statusOf(), silent(statusOf({ member: "faro" }))]).map(({ section }) => section);
  expect(sections).not.toContain("Service of a mirror");
});
