/**
 * Which sections of docs/RUNBOOK.md are about what is the matter now, with their commands for the members of this set. Pure
 * functions; a test compares the commands with the runbook's.
 *
 * Deliberately no advice of its own: what a situation asks for is decided in the runbook, and every command checks again.
 */
import type { MemberStatus } from "../status/member-status.ts";
import { isSeen, operationalMember } from "../status/mirror-set-view.ts";
import type { PageCommand, Situation } from "./page-view.ts";

export interface GuidanceFacts {
  readonly members: readonly MemberStatus[];
  /** The member that answers. */
  readonly self: string;
  /** By member, how old what it has received is; null when nothing is proved. */
  receivedSeconds(member: string): number | null;
}

type Rule = (facts: GuidanceFacts) => Situation[];

/** What is urgent first; where things stand comes always. */
export function guidance(facts: GuidanceFacts): Situation[] {
  return [...URGENT.flatMap((rule) => rule(facts)), ...atRest(facts)];
}

const noOperational: Rule = ({ members, self }) =>
  operationalMember(members) !== null
    ? []
    : [
        {
          section: "Everything was switched off",
          text: "Nobody is known to be operational. Ask what is there before anything is started.",
          commands: [{ member: self, command: "afterimage whois-operational" }],
        },
      ];

const lostOperational: Rule = (facts) => {
  const lost = operationalMember(facts.members);
  const target = successor(facts);
  if (lost === null || target === null || isSeen(lost, facts.members)) return [];
  const on = (...commands: string[]) => commands.map((command) => ({ member: target, command }));
  return [
    {
      section: "The operational machine is lost, and its disk can be read",
      text: `Make sure first that ${lost.member} stays off, or is cut off from its applications. Its disk is mounted at /mnt/${lost.member} on ${target}.`,
      commands: on(
        `afterimage salvage --from /mnt/${lost.member} --dry-run`,
        `afterimage salvage --from /mnt/${lost.member}`,
        "afterimage promote",
      ),
    },
    {
      section: "The operational machine is lost with its disk",
      text: "What no mirror has received is lost with it: the first command says how much that may be.",
      commands: on("afterimage promote --dry-run", "afterimage promote"),
    },
    {
      section: "The operational machine runs, and the others cannot reach it",
      text: `When ${lost.member} runs and its applications cannot reach it either, take the role from it first.`,
      commands: [
        { member: lost.member, command: "afterimage demote --yes" },
        { member: target, command: "afterimage promote" },
      ],
    },
  ];
};

const deposed: Rule = ({ members }) =>
  withError(members, "DEPOSED").map((member) => ({
    section: "The old operational machine comes back",
    text: `${member} was replaced, and its databases are read-only. What only it has is kept when it follows again.`,
    commands: onEach(member, "afterimage rejoin --dry-run", "afterimage rejoin --yes"),
  }));

const demoted: Rule = (facts) => {
  const target = successor(facts);
  return withError(facts.members, "DEMOTED").map((member) => ({
    section: "The operational machine runs, and the others cannot reach it",
    text: `${member} gave its role up, and nobody has taken it yet.`,
    commands: onEach(target ?? member, "afterimage promote"),
  }));
};

const unsettled: Rule = ({ members }) =>
  withError(members, "SWITCHOVER_UNSETTLED").map((member) => ({
    section: "Service of the operational machine",
    text: `${member} cannot prove whether its role was taken. It settles as soon as the other member can be read.`,
    commands: onEach(member, "afterimage status"),
  }));

const cloned: Rule = ({ members }) =>
  ["MEMBER_CLONED", "STATE_SET_BACK"].flatMap((code) =>
    withError(members, code).map((member) => ({
      section: "A machine was cloned, or set back to an old image",
      text: `${member} serves nobody (${code}). Stop the copy that should not be there, and start the other one again.`,
      commands: onEach(member, "afterimage status"),
    })),
  );

const fenced: Rule = ({ members }) => {
  const operational = operationalMember(members);
  if (operational?.state !== "fenced" || operational.errors.length > 0) return [];
  return [
    {
      section: "Nobody may write for a while",
      text: `${operational.member} is fenced: its databases are read-only for every application.`,
      commands: onEach(operational.member, "afterimage unfence"),
    },
  ];
};

const damaged: Rule = ({ members }) =>
  members.flatMap(({ member, role, databases, reachable }) => {
    if (role !== "mirror" || !reachable) return [];
    const wrong = Object.entries(databases).filter(
      ([, { error, verified }]) => error?.code === "MIRROR_INCONSISTENT" || verified?.ok === false,
    );
    return wrong.slice(0, 1).map(([database]) => ({
      section: "A mirror's copy is damaged",
      text: `The copy of ${database} on ${member} is not what its journal says. Only the pages that differ are fetched; readers go on.`,
      commands: onEach(member, "afterimage verify", `afterimage rebuild ${database} --yes`, "afterimage verify"),
    }));
  });

const away: Rule = ({ members }) => {
  const operational = operationalMember(members);
  return members
    .filter((each) => each.member !== operational?.member && !isSeen(each, members))
    .map(({ member }) => ({
      section: "Service of a mirror",
      text: `${member} does not run, or cannot be reached. Its segments are kept, and it catches up by itself.`,
      commands: [
        { member, command: "sudo systemctl start afterimage" },
        { member: operational?.member ?? member, command: `afterimage sync --members ${member} --timeout 60s` },
      ],
    }));
};

const URGENT: readonly Rule[] = [
  noOperational,
  lostOperational,
  demoted,
  unsettled,
  cloned,
  deposed,
  fenced,
  damaged,
  away,
];

const atRest: Rule = (facts) => {
  const { members, self } = facts;
  const operational = operationalMember(members);
  const target = successor(facts);
  const stand: Situation = {
    section: "Where things stand",
    text: "Is everything well? One line for each thing that is looked at, with what to do.",
    commands: onEach(self, "afterimage status", "afterimage check", "afterimage events --level warn"),
  };
  if (operational === null || target === null || !isSeen(operational, members)) return [stand];
  return [
    stand,
    {
      section: "Service of the operational machine",
      text: "Hand over to a mirror: nothing is lost, and nothing is copied.",
      commands: onEach(operational.member, `afterimage validate ${target}`, `afterimage switchover --to ${target}`),
    },
    {
      section: "Would a promotion work?",
      text: "A rehearsal on copies of the databases: nobody notices it.",
      commands: onEach(target, "afterimage drill"),
    },
  ];
};

const UNFIT: readonly string[] = ["fenced", "inconsistent"];

/** The mirror that lives and has received most, as far as is proved; one of type dr when there is no other. */
function successor({ members, receivedSeconds }: GuidanceFacts): string | null {
  const age = ({ member }: MemberStatus) => receivedSeconds(member) ?? Number.POSITIVE_INFINITY;
  const candidates = members
    .filter(({ role, type, state }) => role === "mirror" && type !== "reporting" && !UNFIT.includes(state))
    .filter((each) => isSeen(each, members))
    .sort((a, b) => Number(a.type === "dr") - Number(b.type === "dr") || sign(age(a), age(b)));
  return candidates[0]?.member ?? null;
}

/** A difference of two infinities would be none. */
function sign(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function withError(members: readonly MemberStatus[], code: string): string[] {
  return members
    .filter(({ reachable, errors }) => reachable && errors.some((error) => error.code === code))
    .map(({ member }) => member);
}

function onEach(member: string, ...commands: string[]): PageCommand[] {
  return commands.map((command) => ({ member, command }));
}
