/**
 * Asks the daemon every few seconds and draws what it says. While nobody looks nothing is asked; when the daemon does not answer,
 * the page says so, and how old it is what it shows.
 */
/** @import { PageMember, PageView } from "../src/page/page-view.ts" */
import { drawCharts, redrawCharts } from "./charts.js";
import { drawCommands } from "./commands.js";
import { byId, drawWhenChanged, element, refreshTimes } from "./dom.js";
import { drawEvents, drawProblems } from "./events.js";
import { atMost, duration, perSecond } from "./format.js";
import { drawDatabases, drawMembers } from "./members.js";
import { drawBackups, drawJournal } from "./storage.js";
import { drawTopology } from "./topology.js";

const POLL_MS = 3_000;
const ANSWER_LIMIT_MS = 10_000;
/** One answer that is late is nothing to speak of. */
const OLD_AFTER_MS = 10_000;

/** @type {{ readonly view: PageView, readonly atMs: number } | null} */
let answer = null;
/** Why the last question had no answer; null when it had one. @type {string | null} */
let failure = null;
let announced = "";
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let asked = 0;

async function ask() {
  clearTimeout(timer);
  const question = ++asked;
  const outcome = await fetchView();
  // Something newer was asked meanwhile, for another span of time.
  if (question !== asked) return;
  failure = typeof outcome === "string" ? outcome : null;
  if (typeof outcome !== "string") {
    answer = { view: outcome, atMs: performance.now() };
    draw(outcome);
  }
  drawFreshness();
  if (!document.hidden) timer = setTimeout(ask, POLL_MS);
}

/** @returns {Promise<PageView | string>} the view, or why there is none */
async function fetchView() {
  const query = new URLSearchParams({ hours: chosen("hours"), level: chosen("level") });
  try {
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const response = await fetch(`view.json?${query}`, { signal, cache: "no-store" });
    return response.ok ? await response.json() : `it answers with ${response.status}`;
  } catch {
    return "it does not answer";
  }
}

/** @param {string} name of the radio buttons */
function chosen(name) {
  const input = document.querySelector(`input[name="${name}"]:checked`);
  return input instanceof HTMLInputElement ? input.value : "";
}

/** @param {PageView} view */
function draw(view) {
  document.title = `${{ ok: "✓", warn: "▲", error: "✕" }[view.verdict.level]} ${view.mirror} · Afterimage`;
  byId("title").textContent = `Afterimage · ${view.mirror}`;
  byId("seen-by").textContent = `as ${view.answeredBy} sees it`;
  byId("program").textContent = `Afterimage ${view.version}. This page changes nothing.`;
  drawFigures(view);
  drawProblems(view);
  drawTopology(view);
  drawCommands(view);
  drawMembers(view);
  drawCharts(view);
  drawDatabases(view);
  drawJournal(view);
  drawBackups(view);
  drawEvents(view);
}

/** @param {PageView} view */
function drawFigures({ members, journals, answeredBy }) {
  // Who was passed over may not know it yet.
  const [operational] = members
    .filter(({ role }) => role === "operational")
    .sort((a, b) => (b.epoch ?? 0) - (a.epoch ?? 0));
  const standing = operational === undefined || operational.isSeen ? "" : "and not heard, ";
  const mirrors = members.filter(({ role }) => role === "mirror");
  const journal = journals.find(({ member }) => member === answeredBy);
  const flow = operational?.isSeen === true ? operational.transactionsPerSecond : null;
  const figures = [
    ["Operational", operational?.name ?? "nobody", `${standing}in epoch ${operational?.epoch ?? "–"}`],
    ["Safe on a mirror", best(mirrors), "cut so long ago, and proved to be received by one"],
    ["Copies", worst(mirrors), "so old may the oldest copy be"],
    ["Commits", flow === null ? "–" : `${perSecond(flow)}/s`, "on the operational member"],
    [
      "Journal",
      journal === undefined ? "–" : share(journal.bytes / journal.maxBytes),
      `of what it may have on ${answeredBy}`,
    ],
  ];
  drawWhenChanged("figures", figures, () =>
    figures.map(([term, value, note]) =>
      element(
        "div",
        {},
        element("dt", {}, term),
        element("dd", { class: "figure" }, value),
        element("dd", { class: "muted small" }, note),
      ),
    ),
  );
}

/** @param {number} value */
function share(value) {
  return value > 0 && value < 0.01 ? "< 1 %" : `${Math.round(value * 100)} %`;
}

/** @param {readonly PageMember[]} mirrors */
function best(mirrors) {
  const ages = mirrors.map(({ ages: { receivedSeconds } }) => receivedSeconds).filter((age) => age !== null);
  return atMost(ages.length === 0 ? null : Math.min(...ages));
}

/** @param {readonly PageMember[]} mirrors */
function worst(mirrors) {
  const ages = mirrors.map(({ ages: { integratedSeconds } }) => integratedSeconds);
  const known = ages.filter((age) => age !== null);
  return atMost(known.length === 0 || known.length < ages.length ? null : Math.max(...known));
}

/** What the page says about itself, every second. */
function drawFreshness() {
  const ageMs = answer === null ? null : performance.now() - answer.atMs;
  const isOld = failure !== null || (ageMs !== null && ageMs > OLD_AFTER_MS);
  const age = ageMs === null ? "" : duration(Math.floor(ageMs / 1000));
  const state = answer === null && failure === null ? "starting" : isOld ? "old" : "fresh";
  byId("freshness").dataset.state = state;
  byId("freshness").textContent = {
    starting: "starting",
    old: ageMs === null ? "no answer" : `${age} old`,
    fresh: "live",
  }[state];
  document.body.dataset.state = state;
  drawVerdict(isOld, age);
  if (answer !== null) refreshTimes(Date.parse(answer.view.time) + (ageMs ?? 0));
}

/**
 * @param {boolean} isOld
 * @param {string} age of what is shown; empty when nothing is
 */
function drawVerdict(isOld, age) {
  if (answer === null && !isOld) return;
  const whose = answer === null ? "The daemon" : `The daemon of ${answer.view.answeredBy}`;
  const silence = `${whose} cannot be asked: ${failure ?? "it is late"}.`;
  const text = isOld ? silence : (answer?.view.verdict.text ?? "");
  byId("verdict").dataset.level = isOld ? "error" : (answer?.view.verdict.level ?? "none");
  byId("verdict-text").textContent = text;
  byId("verdict-note").textContent = !isOld
    ? ""
    : age === ""
      ? "It is asked again every 3 s."
      : `What is shown is ${age} old. It is asked again every 3 s.`;
  // Read out once for each change of what is wrong, and not with every figure in it.
  const problems = answer?.view.problems.map(({ member, subject, code }) => [member, subject, code]);
  const cause = JSON.stringify(isOld ? failure : [answer?.view.verdict.level, problems]);
  if (cause === announced) return;
  announced = cause;
  byId("announcer").textContent = text;
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : ask()));
for (const id of ["span", "level"]) byId(id).addEventListener("change", ask);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);
new ResizeObserver(() => {
  if (answer !== null) drawTopology(answer.view);
}).observe(byId("topology"));
setInterval(drawFreshness, 1_000);
// The chart library is loaded before: scripts that are deferred run in their order.
ask();
