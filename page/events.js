/** What is wrong, and what has happened. */
/** @import { PageProblem, PageView } from "../src/page/page-view.ts" */
import { badge, byId, drawWhenChanged, element, since, table } from "./dom.js";

/** @param {PageView} view */
export function drawProblems({ problems }) {
  byId("problems").hidden = problems.length === 0;
  drawWhenChanged("problem-list", problems, () => problems.map(problemItem));
}

/** @param {PageProblem} problem */
function problemItem({ level, member, subject, code, message, hint, since: began }) {
  const head = element(
    "p",
    { class: "problem-head" },
    badge(level, code),
    element("strong", {}, subject === null || subject === member ? member : `${member} · ${subject}`),
    began === null ? null : element("span", { class: "muted" }, since(began)),
  );
  return element(
    "li",
    {},
    head,
    element("p", {}, message),
    hint === null ? null : element("p", { class: "hint" }, ...withCode(hint)),
  );
}

/**
 * Commands stand between backticks in hints.
 * @param {string} text
 */
function withCode(text) {
  return text.split("`").map((part, i) => (i % 2 === 0 ? part : element("code", {}, part)));
}

/** @param {PageView} view */
export function drawEvents({ events, answeredBy }) {
  drawWhenChanged("events", events, () =>
    events.length === 0
      ? [element("p", { class: "muted" }, "None.")]
      : [
          element(
            "div",
            { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "events-title" },
            table(
              `The latest events of ${answeredBy}, the newest first`,
              [{ title: "When" }, { title: "Level" }, { title: "Code" }, { title: "Database" }, { title: "Message" }],
              events.map(({ time, level, code, database, message }) => [
                since(time),
                ...[level === "info" ? level : badge(level, level), element("code", {}, code), database, message],
              ]),
            ),
          ),
        ],
  );
}
