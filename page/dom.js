/**
 * Elements, made of values. Whatever comes from a member, a database or an event becomes text, never HTML: nothing in this page
 * writes markup.
 */

import { duration } from "./format.js";

/** @typedef {Node | string | number | null | undefined} Child */
/** @typedef {Readonly<Record<string, string | number | boolean | null | undefined>>} Attributes `true` is an attribute without a value */

/**
 * @param {string} name
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/**
 * @param {string} name
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  if (!(made instanceof SVGElement)) throw new TypeError(`${name} is no element of SVG`);
  return filled(made, attributes, children);
}

/**
 * @template {Element} T
 * @param {T} made
 * @param {Attributes} attributes
 * @param {readonly Child[]} children
 * @returns {T}
 */
function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes))
    if (value != null && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  for (const child of children) if (child != null) made.append(child instanceof Node ? child : String(child));
  return made;
}

/**
 * An element of the page.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}

/** @type {Map<string, string>} */
const drawn = new Map();

/**
 * Draws a part of the page when what it shows has changed, so that a selection, the focus and a screen reader's place stay
 * where they are.
 * @param {string} id of the element that is filled
 * @param {unknown} value that it shows
 * @param {() => Iterable<Child>} draw
 */
export function drawWhenChanged(id, value, draw) {
  const text = JSON.stringify(value);
  if (drawn.get(id) === text) return;
  drawn.set(id, text);
  const target = byId(id);
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  const key = focused !== null && target.contains(focused) ? focused.dataset.key : undefined;
  target.replaceChildren();
  filled(target, {}, [...draw()]);
  if (key !== undefined)
    for (const each of target.querySelectorAll("[data-key]"))
      if (each instanceof HTMLElement && each.dataset.key === key) each.focus();
}

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {boolean} [isNumber]
 */

/**
 * A table that is one on a narrow screen too, where each row is shown as a card.
 * @param {string} caption for who does not see the heading above
 * @param {readonly Column[]} columns the first names the row
 * @param {Iterable<readonly Child[]>} rows
 */
export function table(caption, columns, rows) {
  const head = columns.map(({ title, isNumber }) =>
    element("th", { scope: "col", role: "columnheader", class: isNumber ? "number" : null }, title),
  );
  const body = [...rows].map((cells) =>
    element("tr", { role: "row" }, ...cells.map((cell, i) => tableCell(cell, columns[i], i))),
  );
  return element(
    "table",
    { role: "table" },
    element("caption", { class: "hidden" }, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...head)),
    element("tbody", { role: "rowgroup" }, ...body),
  );
}

/**
 * @param {Child} content
 * @param {Column | undefined} column
 * @param {number} index
 */
function tableCell(content, column, index) {
  const classes = [column?.isNumber ? "number" : "", content == null ? "empty" : ""].join(" ").trim();
  const attributes = { class: classes === "" ? null : classes, "data-label": column?.title };
  // On a narrow screen the label stands before the content, which must not fall apart into columns of its own.
  const inner = element("div", {}, content ?? "–");
  return index === 0
    ? element("th", { ...attributes, scope: "row", role: "rowheader" }, inner)
    : element("td", { ...attributes, role: "cell" }, inner);
}

/**
 * How long ago something was. It is written by {@link refreshTimes}, so that what is around it need not be drawn again.
 * @param {string | null} time ISO 8601
 * @param {"ago" | "age"} [form] `5 min ago` or `5 min`
 */
export function since(time, form = "ago") {
  return time === null ? null : element("time", { datetime: time, title: time, "data-form": form });
}

/**
 * Times are those of the machine that answers: a wrong clock here must not make anything look old.
 * @param {number} nowMs of that machine
 */
export function refreshTimes(nowMs) {
  for (const shown of document.querySelectorAll("time[data-form]")) {
    const seconds = Math.max(0, nowMs - Date.parse(shown.getAttribute("datetime") ?? "")) / 1000;
    const age = seconds < 60 ? `${Math.floor(seconds)} s` : duration(seconds);
    const text = shown.getAttribute("data-form") === "age" ? age : `${age} ago`;
    if (shown.textContent !== text) shown.textContent = text;
  }
}

/** @typedef {import("../src/page/page-view.ts").Level} Level */

/** Shapes, because colours are not seen by all. */
const SHAPES = { ok: "✓", warn: "▲", error: "✕" };
const SPOKEN = { ok: "", warn: "warning: ", error: "error: " };

/**
 * @param {Level} level
 * @param {string} text
 */
export function badge(level, text) {
  return element(
    "span",
    { class: "badge", "data-level": level },
    element("span", { "aria-hidden": "true" }, `${SHAPES[level]} `),
    element("span", { class: "hidden" }, SPOKEN[level]),
    text,
  );
}
