/** `afterimage status`: the mirror set as this member sees it, in the form that `patronictl list` made familiar. */
import type { Command } from "commander";
import type {
  DatabaseStatus,
  ErrorView,
  JournalStatus,
  MemberStatus,
  MirrorSetStatus,
} from "../status/member-status.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import type { Register } from "./register.ts";
import { statusExitCode } from "./status-exit-code.ts";
import { type Column, formatTable } from "./table.ts";
import { withControl } from "./with-control.ts";

const COLUMNS: readonly Column[] = [
  { title: "Member" },
  { title: "Role" },
  { title: "State" },
  { title: "Epoch", align: "right" },
  { title: "Database" },
  { title: "Received" },
  { title: "Integrated" },
  { title: "Lag tx", align: "right" },
  { title: "Lag s", align: "right" },
];

export async function status(args: GlobalOptions, io: CommandIo): Promise<number> {
  const answer = await withControl(args, io, (control) => control.status());
  print(args, io, answer, () => statusLines(answer));
  return statusExitCode(answer);
}

/** A heading, a table with followers indented under what they follow, and what is wrong. */
export function statusLines(answer: MirrorSetStatus): string[] {
  const rows = inTree(answer.members).flatMap(({ member, depth }) => memberRows(member, depth));
  const problems = answer.members.flatMap(problemLines);
  return [`Mirror set ${answer.mirror}, as ${answer.answeredBy} sees it`, ...formatTable(COLUMNS, rows), ...problems];
}

interface Placed {
  readonly member: MemberStatus;
  readonly depth: number;
}

/** Every member once, each after the one that it follows. */
function inTree(members: readonly MemberStatus[]): Placed[] {
  const placed = new Map<MemberStatus, Placed>();
  const place = (member: MemberStatus, depth: number): void => {
    if (placed.has(member)) return;
    placed.set(member, { member, depth });
    for (const follower of members) if (follower.follows === member.member) place(follower, depth + 1);
  };
  const known = new Set(members.map(({ member }) => member));
  for (const member of members) if (member.follows === null || !known.has(member.follows)) place(member, 0);
  // What says that it follows in a circle is shown all the same.
  for (const member of members) place(member, 0);
  return [...placed.values()];
}

function memberRows(member: MemberStatus, depth: number): string[][] {
  const head = [
    `${"  ".repeat(depth)}${member.member}`,
    roleOf(member),
    member.state,
    member.epoch === null ? "-" : String(member.epoch),
  ];
  const databases = Object.entries(member.databases);
  if (databases.length === 0) return [[...head, "-", "-", "-", "-", "-"]];
  return databases.map(([name, database], index) => [
    ...(index === 0 ? head : head.map(() => "")),
    name,
    ...databaseCells(database),
  ]);
}

function roleOf({ role, type }: MemberStatus): string {
  if (role === null) return "-";
  return role === "mirror" && type !== "failover" ? `mirror (${type})` : role;
}

function databaseCells({ received, integrated, lagTransactions, lagSeconds }: DatabaseStatus): string[] {
  return [
    received?.txid ?? "-",
    integrated?.txid ?? "-",
    lagTransactions === null ? "-" : String(lagTransactions),
    lagSeconds === null ? "-" : lagSeconds.toFixed(1),
  ];
}

function problemLines({ member, databases, followers, journal, errors }: MemberStatus): string[] {
  const ofDatabases = Object.entries(databases).flatMap(
    ([name, { error, heldBy, hold, progress, resync, receiving, warnings, quarantined, verified }]) => [
      ...(heldBy === null ? [] : [`${member}/${name}: paused by ${heldBy}`]),
      ...(hold === null ? [] : [`${member}/${name}: ${hold.message}`]),
      ...progressLines(`${member}/${name}`, progress),
      ...copyLines(`${member}/${name}`, resync, receiving),
      ...errorLines(`${member}/${name}`, error),
      ...warnings.flatMap((warning) => errorLines(`${member}/${name}`, warning, "warning")),
      ...quarantineLines(`${member}/${name}`, quarantined),
      ...verificationLines(`${member}/${name}`, verified),
    ],
  );
  const ofFollowers = Object.entries(followers).flatMap(([name, { error }]) =>
    errorLines(`${member} -> ${name}`, error),
  );
  const ofMember = errors.flatMap((error) => errorLines(member, error));
  return [...ofMember, ...ofDatabases, ...ofFollowers, ...journalLines(member, journal)];
}

function progressLines(where: string, progress: DatabaseStatus["progress"]): string[] {
  if (progress === null) return [];
  const { transactions, bytes, perSecond, secondsLeft } = progress;
  const rate = perSecond === null ? "" : `, ${perSecond} a second`;
  const left = secondsLeft === null ? "" : `, some ${secondsLeft} s`;
  return [`${where}: catching up: ${transactions} transactions left (${bytes} bytes are here)${rate}${left}`];
}

const RESYNC_STEPS = { preparing: "its pages are read", asking: "asked", applying: "applied" } as const;

function copyLines(where: string, resync: DatabaseStatus["resync"], receiving: DatabaseStatus["receiving"]): string[] {
  const lines = resync == null ? [] : [`${where}: made equal to the upstream's copy: ${RESYNC_STEPS[resync.state]}`];
  if (receiving == null) return lines;
  const of = receiving.total === null ? "" : ` of ${receiving.total}`;
  return [...lines, `${where}: receiving: ${receiving.bytes}${of} bytes`];
}

function verificationLines(where: string, verified: DatabaseStatus["verified"]): string[] {
  if (verified === null || verified.ok) return [];
  const line = `${where}: error VERIFICATION_FAILED: it was not what its journal says (at ${verified.time})`;
  return [line, "  next: Run `afterimage verify` on that member: it says what differs."];
}

function journalLines(member: string, journal: JournalStatus | null): string[] {
  if (journal === null) return [];
  const { shortages, givenUp, bytes, maxBytes, freeBytes, minFreeBytes } = journal;
  const sizes = `${bytes} of at most ${maxBytes} bytes, ${freeBytes} bytes free where ${minFreeBytes} must stay free`;
  return [
    ...shortages.map((code) => `${member}: warning ${code}: the journal loses history before its time: ${sizes}`),
    ...givenUp.map(
      (lost) => `${member}: warning MEMBER_GIVEN_UP: ${lost.member} fetches what differs of ${lost.database}`,
    ),
  ];
}

function errorLines(where: string, error: ErrorView | null, kind: "error" | "warning" = "error"): string[] {
  if (error === null) return [];
  const line = `${where}: ${kind} ${error.code}: ${error.message} (since ${error.since})`;
  return error.hint === null ? [line] : [line, `  next: ${error.hint}`];
}

function quarantineLines(where: string, files: number): string[] {
  return files === 0
    ? []
    : [`${where}: ${files} refused files in quarantine: see the reasons beside them, then remove them`];
}

export const registerStatus: Register = (program, execute) => {
  program
    .command("status")
    .description("show all members: roles, states, positions and lags")
    .action((_options: object, command: Command) => execute(command, status));
};
