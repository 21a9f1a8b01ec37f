/** Journals and backups. */
/** @import { PageJournal, PageView } from "../src/page/page-view.ts" */
import { badge, drawWhenChanged, element, since, table } from "./dom.js";
import { counted, duration, number, size } from "./format.js";

const COLUMNS = [
  { title: "Member" },
  { title: "Journal" },
  { title: "Of at most", isNumber: true },
  { title: "Free on its disk", isNumber: true },
  { title: "Reaches back", isNumber: true },
];

/** @param {PageView} view */
export function drawJournal({ journals, segments, answeredBy }) {
  const rows = journals.map(journalRow);
  const counts = `${answeredBy} has ${counted(segments.segments, "segment")} and ${counted(segments.snapshots, "snapshot")} of all databases, ${size(segments.bytes)}.`;
  const rule = `Segments are kept for at least ${duration(segments.retentionSeconds)}, and for a member that is away for up to ${duration(segments.giveUpAfterSeconds)}.`;
  drawWhenChanged("journal", [rows, counts, rule], () => [
    table("Journals of all members that are heard", COLUMNS, rows.map(journalCells)),
    element("p", {}, counts),
    element("p", { class: "muted" }, rule),
  ]);
}

/** @param {PageJournal} journal */
function journalRow({ member, bytes, maxBytes, freeBytes, minFreeBytes, oldest, shortages, givenUp }) {
  const share = Math.min(1, bytes / maxBytes);
  return {
    ...{ member, share: Math.round(share * 1000) / 1000, bytes: size(bytes), oldest, shortages, givenUp },
    max: size(maxBytes),
    free: size(freeBytes),
    isLow: freeBytes < 2 * minFreeBytes,
  };
}

/** @param {ReturnType<typeof journalRow>} row */
function journalCells({ member, share, bytes, max, free, isLow, oldest, shortages, givenUp }) {
  const meter = element("meter", {
    min: 0,
    max: 1,
    high: 0.8,
    value: share,
    "aria-label": `${Math.round(share * 100)} % of what it may have`,
  });
  return [
    member,
    element(
      "div",
      {},
      element("div", { class: "measured" }, meter, bytes),
      ...shortages.map((code) => element("div", {}, badge("error", code))),
      ...givenUp.map((name) => element("div", {}, badge("warn", `no longer waits for ${name}`))),
    ),
    max,
    isLow ? badge("warn", free) : free,
    since(oldest, "age"),
  ];
}

/** @param {PageView} view */
export function drawBackups({ backups, answeredBy, databases }) {
  const { schedule, idle, keep, missing, newest } = backups;
  const more = databases.total - newest.length;
  drawWhenChanged("backups", [backups, more], () => [
    element(
      "p",
      {},
      schedule === null
        ? `${answeredBy} makes backups by command only: `
        : `${answeredBy} makes backups by the schedule `,
      element("code", {}, schedule ?? "afterimage backup"),
      `${idle === null ? "" : `; ${idle}`}. The newest ${number(keep)} of each database are kept.`,
    ),
    missing === 0 || (schedule === null && missing === databases.total)
      ? null
      : element("p", {}, badge("warn", `${number(missing)} of ${number(databases.total)} databases have none`)),
    table(
      `Newest backups that ${answeredBy} has made, the oldest first`,
      [{ title: "Database" }, { title: "Newest backup", isNumber: true }],
      newest.map(({ database, time }) => [database, since(time) ?? "none"]),
    ),
    more > 0 ? element("p", { class: "muted" }, `${number(more)} more that are newer.`) : null,
    element("p", { class: "muted small" }, "Backups of another member are on that member's own page."),
  ]);
}
