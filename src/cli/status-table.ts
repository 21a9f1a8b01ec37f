/** The table of `afterimage status`, in the form that `patronictl list` made familiar. */
import { boundedLag, integrationLag, type Lag, transportLag } from "../status/database-lag.ts";
import type { DatabaseStatus, MemberStatus, MirrorSetStatus, PositionView } from "../status/member-status.ts";
import { hearsOperational } from "../status/mirror-set-view.ts";
import { problemLines, setLines } from "./status-problems.ts";
import { type Column, formatTable } from "./table.ts";

const MEMBER: readonly Column[] = [
  { title: "Member" },
  { title: "Role" },
  { title: "State" },
  { title: "Epoch", align: "right" },
];
const DATABASE: Column = { title: "Database" };
const POSITIONS: readonly Column[] = [
  { title: "Received" },
  { title: "Lag", align: "right" },
  { title: "Integrated" },
  { title: "Lag", align: "right" },
];
const NONE = "-";

export interface StatusView {
  /** A line for each database, instead of one for all of a member's. */
  readonly databases: boolean;
}

/** A heading, a table with followers indented under what they follow, and what is wrong. */
export function statusLines({ mirror, answeredBy, members }: MirrorSetStatus, { databases }: StatusView): string[] {
  const names = [...new Set(members.flatMap((member) => Object.keys(member.databases)))];
  const [only] = names;
  const of = only !== undefined && names.length === 1 && !databases ? `, database ${only}` : "";
  const rows = inTree(members).flatMap(({ member, depth }) => {
    const head = headCells(member, depth);
    if (!databases) return [[...head, ...memberCells(member, members, names.length)]];
    const each = Object.entries(member.databases);
    if (each.length === 0) return [[...head, NONE, NONE, NONE, NONE, NONE]];
    return each.map(([name, database], index) => [
      ...(index === 0 ? head : head.map(() => "")),
      ...[name, ...databaseCells(database, member, members)],
    ]);
  });
  return [
    `Mirror set ${mirror}${of}, as ${answeredBy} sees it`,
    ...formatTable([...MEMBER, ...(databases ? [DATABASE] : []), ...POSITIONS], rows),
    ...members.flatMap(problemLines),
    ...setLines(members),
  ];
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

function headCells(member: MemberStatus, depth: number): string[] {
  return [
    `${"  ".repeat(depth)}${member.member}`,
    roleOf(member),
    member.state,
    member.epoch === null ? NONE : String(member.epoch),
  ];
}

function roleOf({ role, type }: MemberStatus): string {
  if (role === null) return NONE;
  return role === "mirror" && type !== "failover" ? `mirror (${type})` : role;
}

/** All databases of a member in one line: positions of different databases cannot be compared, and lags can. */
function memberCells(member: MemberStatus, members: readonly MemberStatus[], count: number): string[] {
  const all = Object.values(member.databases);
  const [only] = all;
  if (only === undefined) return [NONE, NONE, NONE, NONE];
  if (count === 1) return databaseCells(only, member, members);
  const there = (position: (database: DatabaseStatus) => PositionView | null) => {
    const found = all.filter((database) => position(database) !== null).length;
    return found === all.length ? `${found} databases` : `${found} of ${all.length} databases`;
  };
  return [
    there(({ received }) => received),
    lagCell(worst(all.map(onTheWay)), { isKnown: hearsOperational(member, members), member }),
    there(({ integrated }) => integrated),
    lagCell(worst(all.map(inTheCopy)), { isKnown: member.reachable, member }),
  ];
}

function databaseCells(database: DatabaseStatus, member: MemberStatus, members: readonly MemberStatus[]): string[] {
  const { received, integrated } = database;
  return [
    received?.txid ?? NONE,
    lagCell(onTheWay(database), { isKnown: hearsOperational(member, members), member }),
    integrated?.txid ?? NONE,
    lagCell(inTheCopy(database), { isKnown: member.reachable, member }),
  ];
}

function onTheWay(database: DatabaseStatus): Lag {
  return boundedLag(transportLag(database), database);
}

function inTheCopy(database: DatabaseStatus): Lag {
  return boundedLag(integrationLag(database), database);
}

interface LagContext {
  readonly isKnown: boolean;
  readonly member: MemberStatus;
}

/** Empty for the operational member, as patronictl has it for a leader. */
function lagCell({ transactions, seconds }: Lag, { isKnown, member }: LagContext): string {
  if (member.role === "operational") return "";
  if (transactions === null) return NONE;
  if (!isKnown) return "unknown";
  if (transactions === 0) return "0";
  return seconds === null ? `${transactions} tx` : `${transactions} tx, ${seconds.toFixed(1)} s`;
}

/** Of those that are known; both parts on their own. */
function worst(lags: readonly Lag[]): Lag {
  const most = (values: readonly (number | null)[]) => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? null : Math.max(...known);
  };
  return {
    transactions: most(lags.map(({ transactions }) => transactions)),
    seconds: most(lags.map(({ seconds }) => seconds)),
  };
}
