/** Charts of lags and rates; each has its figures as text beneath it, and as a table for whoever wants it. */
/** @import { PageHistory, PageView } from "../src/page/page-view.ts" */
import { byId, element, table } from "./dom.js";
import { byteRate, clock, duration, perSecond } from "./format.js";

/** @typedef {readonly (number | null)[]} Values */
/** @typedef {{ readonly name: string, readonly values: Values }} Line */
/**
 * @typedef {object} ChartKind
 * @property {string} title
 * @property {string} about
 * @property {(history: PageHistory, members: readonly string[]) => Line[]} lines
 * @property {(value: number) => string} format
 * @property {number} least what the axis reaches to at least
 */

/** @type {readonly ChartKind[]} */
const KINDS = [
  {
    title: "Received lag",
    about: "Everything that was cut so long ago is in the member's journal.",
    lines: ({ received }, members) => members.map((name) => ({ name, values: received[name] ?? [] })),
    format: duration,
    least: 5,
  },
  {
    title: "Integrated lag",
    about: "Everything that was cut so long ago is in the member's copies.",
    lines: ({ integrated }, members) => members.map((name) => ({ name, values: integrated[name] ?? [] })),
    format: duration,
    least: 5,
  },
  {
    title: "Transactions a second",
    about: "That have come into the journal here.",
    lines: ({ rates }) => [{ name: "transactions", values: rates.transactions }],
    format: perSecond,
    least: 1,
  },
  {
    title: "Segments a second",
    about: "That were cut here, or received.",
    lines: ({ rates }) => [{ name: "segments", values: rates.segments }],
    format: perSecond,
    least: 1,
  },
  {
    title: "Bytes a second",
    about: "Of segments that have come into the journal here, and that were shipped from it.",
    lines: ({ rates }) => [
      { name: "journal", values: rates.bytes },
      { name: "shipped", values: rates.shipped },
    ],
    format: byteRate,
    least: 1000,
  },
];

/** Members that are further down the list begin again with the first colour, and with other dashes. */
const COLOURS = 6;
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
const TABLE_ROWS = 12;
const LEAST_SPAN_MS = 600_000;
const MOST_TICKS = 6;
/** Between two times on the axis. */
const TIME_STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120].map((minutes) => minutes * 60_000);

/** @typedef {import("chart.js").Chart<"line", { x: number, y: number | null }[]>} LineChart */
/** @typedef {{ readonly kind: ChartKind, readonly figure: HTMLElement, readonly canvas: HTMLElement, readonly summary: HTMLElement, readonly details: HTMLElement, chart: LineChart | null, lineNames: string }} Drawn */

/** @type {Drawn[]} */
const charts = [];
/** @type {PageView | null} */
let last = null;

/** @param {PageView} view */
export function drawCharts(view) {
  last = view;
  if (charts.length === 0) charts.push(...KINDS.map(figureOf));
  const mirrors = view.members.filter(({ role }) => role === "mirror").map(({ name }) => name);
  for (const drawn of charts) {
    const lines = drawn.kind.lines(view.history, mirrors);
    drawn.summary.textContent = summary(drawn.kind, lines);
    drawn.canvas.setAttribute(
      "aria-label",
      `${drawn.kind.title}, ${spanOf(view.history)}. ${drawn.summary.textContent}`,
    );
    fillTable(drawn, view.history, lines);
    drawLines(drawn, view.history, lines);
  }
}

/** @param {ChartKind} kind */
function figureOf(kind) {
  const canvas = element("canvas", { role: "img" });
  const summary = element("p", { class: "summary" });
  const details = element("details", {}, element("summary", {}, "As a table"), element("div", {}));
  const figure = element(
    "figure",
    { class: "chart" },
    element("figcaption", {}, element("h3", {}, kind.title), element("p", { class: "muted small" }, kind.about)),
    element("div", { class: "canvas" }, canvas),
    ...[summary, details],
  );
  byId("charts").append(figure);
  details.addEventListener("toggle", () => {
    if (last !== null) drawCharts(last);
  });
  return { kind, figure, canvas, summary, details, chart: null, lineNames: "" };
}

/** @param {PageHistory} history */
function spanOf({ stepMs, rates }) {
  return `the last ${duration((stepMs * rates.bytes.length) / 1000)}`;
}

/**
 * @param {ChartKind} kind
 * @param {readonly Line[]} lines
 */
function summary({ format }, lines) {
  const parts = lines.map(({ name, values }) => {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${name}: nothing yet`;
    const now = values.at(-1) ?? values.at(-2) ?? null;
    return `${name}: ${now === null ? "not known now" : `now ${format(now)}`}, most ${format(Math.max(...known))}`;
  });
  return parts.length === 0 ? "There is no mirror." : `${parts.join("; ")}.`;
}

/**
 * @param {Drawn} drawn
 * @param {PageHistory} history
 * @param {readonly Line[]} lines
 */
function fillTable({ kind, details }, { startMs, stepMs }, lines) {
  const target = details.lastElementChild;
  if (!details.hasAttribute("open") || target === null) return;
  const points = lines[0]?.values.length ?? 0;
  const every = Math.max(1, Math.ceil(points / TABLE_ROWS));
  const rows = [];
  for (let end = points; end > 0; end -= every) {
    const cells = lines.map(({ values }) => {
      const known = values.slice(Math.max(0, end - every), end).filter((value) => value !== null);
      return known.length === 0 ? null : kind.format(Math.max(...known));
    });
    rows.push([clock(startMs + (end - 1) * stepMs), ...cells]);
  }
  const columns = [{ title: "Until" }, ...lines.map(({ name }) => ({ title: name, isNumber: true }))];
  target.replaceChildren(table(`${kind.title}: the most of each interval`, columns, rows));
}

/**
 * @param {Drawn} drawn
 * @param {PageHistory} history
 * @param {readonly Line[]} lines
 */
function drawLines(drawn, { startMs, stepMs }, lines) {
  const Chart = window.Chart;
  if (Chart === undefined || !(drawn.canvas instanceof HTMLCanvasElement)) return;
  const lineNames = lines.map(({ name }) => name).join(" ");
  if (drawn.chart === null || drawn.lineNames !== lineNames) {
    drawn.chart?.destroy();
    drawn.chart = new Chart(drawn.canvas, options(drawn.kind, lines));
    drawn.lineNames = lineNames;
  }
  const { chart } = drawn;
  chart.data.datasets.forEach((dataset, i) => {
    dataset.data = (lines[i]?.values ?? []).map((y, point) => ({ x: startMs + point * stepMs, y }));
  });
  const x = chart.options.scales?.x;
  if (x !== undefined) {
    x.max = startMs + ((lines[0]?.values.length ?? 1) - 1) * stepMs;
    // A daemon that has just been started has little to show: then that little is shown large.
    const first = Math.min(
      ...lines.map(({ values }) => values.findIndex((value) => value !== null)).filter((at) => at >= 0),
    );
    x.min = Math.max(startMs, Math.min(startMs + first * stepMs, x.max - LEAST_SPAN_MS));
  }
  chart.update("none");
}

/**
 * @param {ChartKind} kind
 * @param {readonly Line[]} lines
 * @returns {import("chart.js").ChartConfiguration<"line", { x: number, y: number | null }[]>}
 */
function options({ format, least }, lines) {
  const style = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12 };
  const ticks = { color: colour("muted"), font, maxRotation: 0, autoSkipPadding: 16 };
  const grid = { color: colour("grid") };
  return {
    type: "line",
    data: {
      datasets: lines.map(({ name }, i) => ({
        ...{ label: name, data: [], borderWidth: 1.75, pointRadius: 0, pointHitRadius: 8, tension: 0, spanGaps: false },
        borderColor: colour(`line-${i % COLOURS}`),
        backgroundColor: colour(`line-${i % COLOURS}`),
        borderDash: DASHES[Math.floor(i / COLOURS) % DASHES.length] ?? [],
      })),
    },
    options: {
      ...{ animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true },
      interaction: { mode: "index", intersect: false },
      scales: {
        x: {
          ...{ type: "linear", grid, ticks: { ...ticks, callback: (value) => clock(Number(value)) } },
          afterBuildTicks: (axis) => {
            axis.ticks = roundTimes(axis.min, axis.max).map((value) => ({ value }));
          },
        },
        y: {
          ...{ beginAtZero: true, suggestedMax: least, grid, border: { display: false } },
          ticks: { ...ticks, maxTicksLimit: 5, callback: (value) => format(Number(value)) },
        },
      },
      plugins: {
        legend: {
          display: lines.length > 1,
          ...{ align: "start", labels: { color: colour("text"), font, boxWidth: 14, boxHeight: 2 } },
        },
        tooltip: {
          callbacks: {
            title: ([first]) => (first === undefined ? "" : clock(first.parsed.x ?? 0)),
            label: ({ dataset, parsed }) => `${dataset.label}: ${parsed.y === null ? "not known" : format(parsed.y)}`,
          },
        },
      },
    },
  };
}

/**
 * @param {number} minMs
 * @param {number} maxMs
 */
function roundTimes(minMs, maxMs) {
  const step = TIME_STEPS_MS.find((each) => (maxMs - minMs) / each <= MOST_TICKS) ?? maxMs - minMs;
  const first = Math.ceil(minMs / step) * step;
  return Array.from({ length: Math.floor((maxMs - first) / step) + 1 }, (_, i) => first + i * step);
}

/** Colours are read when a chart is made. */
export function redrawCharts() {
  for (const drawn of charts) {
    drawn.chart?.destroy();
    drawn.chart = null;
  }
  if (last !== null) drawCharts(last);
}
