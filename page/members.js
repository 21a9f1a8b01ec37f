/** The members, and the databases of the member that answers, as tables. */
/** @import { PageDatabase, PageMember, PageView } from "../src/page/page-view.ts" */
import { badge, drawWhenChanged, element, since, table } from "./dom.js";
import { atMost, number, perSecond, shortTxid, size } from "./format.js";

const MEMBER_COLUMNS = [
  { title: "Member" },
  { title: "Role" },
  { title: "State" },
  { title: "Follows" },
  { title: "Epoch", isNumber: true },
  { title: "Databases", isNumber: true },
  { title: "Received lag", isNumber: true },
  { title: "Integrated lag", isNumber: true },
  { title: "Behind", isNumber: true },
  { title: "Receives", isNumber: true },
];

/** @param {PageView} view */
export function drawMembers({ members }) {
  const rows = members.map(memberRow);
  drawWhenChanged("members", rows, () => [
    table(
      "All members of the mirror set",
      MEMBER_COLUMNS,
      rows.map(({ level, state, notes, name, rest: [role, ...rest] }) => [
        name,
        role,
        element("div", {}, badge(level, state), ...notes.map((note) => element("div", { class: "note" }, note))),
        ...rest,
      ]),
    ),
  ]);
}

/** @param {PageMember} member */
function memberRow(member) {
  const { name, role, type, state, level, follows, epoch, databases, ages, lagTransactions, notes } = member;
  const isMirror = role === "mirror";
  const rest = [
    isMirror && type !== "failover" ? `mirror (${type})` : role,
    follows,
    number(epoch),
    number(databases),
    isMirror ? atMost(ages.receivedSeconds) : null,
    isMirror ? atMost(ages.integratedSeconds) : null,
    isMirror && lagTransactions !== null ? `${number(lagTransactions)} tx` : null,
    isMirror && member.transactionsPerSecond !== null ? `${perSecond(member.transactionsPerSecond)} tx/s` : null,
  ];
  return { name, level, state, notes, rest };
}

const DATABASE_COLUMNS = [
  { title: "Database" },
  { title: "State" },
  { title: "Received to" },
  { title: "Integrated to" },
  { title: "Lag", isNumber: true },
  { title: "Behind", isNumber: true },
  { title: "Size", isNumber: true },
  { title: "WAL", isNumber: true },
  { title: "Verified", isNumber: true },
];

/** @param {PageView} view */
export function drawDatabases({ databases, answeredBy, members }) {
  const isMirror = members.some(({ name, role }) => name === answeredBy && role === "mirror");
  const rows = databases.shown.map((database) => databaseRow(database, isMirror));
  const more = databases.total - rows.length;
  drawWhenChanged("databases", [rows, more], () => [
    table(
      `Databases of ${answeredBy}`,
      DATABASE_COLUMNS,
      rows.map(({ name, level, state, received, integrated, rest, verified }) => [
        ...[name, badge(level, state), txid(received), txid(integrated), ...rest],
        since(verified) ?? "not yet",
      ]),
    ),
    more > 0
      ? element(
          "p",
          { class: "muted" },
          `${number(more)} more that are no worse. `,
          element("code", {}, "afterimage status --databases"),
          " shows all.",
        )
      : null,
  ]);
}

/**
 * @param {PageDatabase} database
 * @param {boolean} isMirror whether it is a copy
 */
function databaseRow(database, isMirror) {
  const { name, level, state, received, integrated, lagTransactions, ages, bytes, walBytes, verified } = database;
  const rest = [
    isMirror ? atMost(ages.integratedSeconds) : null,
    isMirror && lagTransactions !== null ? `${number(lagTransactions)} tx` : null,
    size(bytes),
    size(walBytes),
  ];
  return { name, level, state, received, integrated, rest, verified };
}

/** @param {string | null} position */
function txid(position) {
  return position === null ? null : element("code", { title: position }, shortTxid(position));
}
