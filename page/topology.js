/** The mirror set as a picture: who follows whom, what flows on each edge, and how far behind its end is; and the same as text. */
/** @import { PageMember, PageView } from "../src/page/page-view.ts" */
import { byId, drawWhenChanged, element, svg } from "./dom.js";
import { atMost, byteRate, duration, perSecond } from "./format.js";
import { layOut, NODE_HEIGHT } from "./topology-layout.js";

/** @typedef {import("./topology-layout.js").PlacedEdge} PlacedEdge */
/** @typedef {import("./topology-layout.js").PlacedNode} PlacedNode */

const SHAPES = { ok: "✓", warn: "▲", error: "✕" };
/** Of the picture, where the page has no width yet. */
const LEAST_WIDTH = 280;
/** Pixels that a letter takes, about: of a name, and of what is beneath it. */
const NAME_LETTER = 9;
const LETTER = 7.4;

/** @param {PageView} view */
export function drawTopology({ members, answeredBy }) {
  const width = Math.max(LEAST_WIDTH, Math.floor(byId("topology").clientWidth));
  drawWhenChanged("topology", [members.map((member) => shown(member, members)), width], () => [
    picture(members, answeredBy, width),
  ]);
  const sentences = members.map((member) => sentence(member, members));
  drawWhenChanged("topology-text", sentences, () => sentences.map((each) => element("li", {}, each)));
}

/**
 * @param {readonly PageMember[]} members
 * @param {string} answeredBy
 * @param {number} width
 */
function picture(members, answeredBy, width) {
  const layout = layOut(members, width);
  const byName = new Map(members.map((member) => [member.name, member]));
  const edges = layout.edges.flatMap((edge) => {
    const member = byName.get(edge.to);
    return member === undefined ? [] : [drawEdge(edge, member, flowOf(member, members))];
  });
  const nodes = layout.nodes.flatMap((node) => {
    const member = byName.get(node.name);
    return member === undefined ? [] : [drawNode(node, member, member.name === answeredBy)];
  });
  return svg(
    "svg",
    {
      ...{ class: "picture", width: layout.width, height: layout.height + 2, role: "img" },
      viewBox: `0 -1 ${layout.width} ${layout.height + 2}`,
      ...{
        "aria-label": "Picture of who follows whom; the list after it says the same",
        "aria-describedby": "topology-text",
      },
    },
    ...edges,
    ...nodes,
  );
}

/**
 * @param {PlacedNode} node
 * @param {PageMember} member
 * @param {boolean} isHere
 */
function drawNode({ x, y, width }, member, isHere) {
  const text = (/** @type {number} */ line, /** @type {string} */ name, /** @type {string} */ content) => {
    const letters = Math.floor((width - 28) / (name === "name" ? NAME_LETTER : LETTER));
    return svg("text", { x: x + 18, y: y + line, class: name }, cut(content, letters));
  };
  return svg(
    "g",
    { class: "node", "data-level": member.level, "data-role": member.role, "data-member": member.name },
    svg("rect", { x: x + 0.5, y: y + 0.5, width: width - 1, height: NODE_HEIGHT - 1, rx: 8, class: "box" }),
    svg("rect", { x: x + 0.5, y: y + 0.5, width: 6, height: NODE_HEIGHT - 1, rx: 3, class: "bar" }),
    text(25, "name", isHere ? `${member.name} (here)` : member.name),
    text(46, "role", roleOf(member)),
    text(68, "state", `${SHAPES[member.level]} ${member.state}`),
  );
}

/**
 * @param {PlacedEdge} edge
 * @param {PageMember} member at its end
 * @param {string} flow
 */
function drawEdge({ path, from, to, labelX, labelY, isBelow }, member, flow) {
  const isFlowing = flow.includes("tx/s");
  const [upper, lower] = isBelow ? [labelY - 9, labelY + 19] : [labelY - 22, labelY - 5];
  return svg(
    "g",
    { class: "edge", "data-level": member.level, "data-from": from, "data-to": to, "data-flowing": String(isFlowing) },
    svg("path", { d: path, class: "line" }),
    isFlowing ? svg("path", { d: path, class: "flow" }) : null,
    svg("text", { x: labelX + 4, y: upper, class: "flow-text" }, flow),
    svg("text", { x: labelX + 4, y: lower, class: "lag-text" }, `lag ${atMost(member.ages.integratedSeconds)}`),
  );
}

/**
 * @param {PageMember} member
 * @param {readonly PageMember[]} members
 */
function flowOf({ isSeen, follows, transactionsPerSecond, bytesPerSecond }, members) {
  // What was known of a flow is no longer true when one of its ends is silent.
  if (!isSeen || members.some(({ name, isSeen: isHeard }) => name === follows && !isHeard)) return "silent";
  if (transactionsPerSecond === null) return "";
  if (transactionsPerSecond === 0) return "quiet";
  const bytes = bytesPerSecond === null ? "" : `, ${byteRate(bytesPerSecond)}`;
  return `${perSecond(transactionsPerSecond)} tx/s${bytes}`;
}

/** @param {PageMember} member */
function roleOf({ role, type, epoch }) {
  const kind = role === "mirror" && type !== "failover" ? `mirror (${type})` : (role ?? "role not known");
  return epoch === null || role === "mirror" ? kind : `${kind}, epoch ${epoch}`;
}

/**
 * @param {PageMember} member
 * @param {readonly PageMember[]} members
 */
function sentence(member, members) {
  const { name, follows, state, ages, transactionsPerSecond } = member;
  const head =
    follows === null
      ? `${name}: ${roleOf(member)}, ${state}`
      : `${name} follows ${follows}: ${roleOf(member)}, ${state}`;
  if (member.role !== "mirror") return `${head}.`;
  const lag = (/** @type {string} */ what, /** @type {number | null} */ seconds) =>
    seconds === null
      ? `what it has ${what} is not proved`
      : `has ${what} what was cut ${duration(Math.round(seconds))} ago`;
  const isFlowing = flowOf(member, members).includes("tx/s");
  const flow = isFlowing ? `; receives ${perSecond(transactionsPerSecond)} transactions a second` : "; nothing flows";
  return `${head}; ${lag("received", ages.receivedSeconds)}; ${lag("integrated", ages.integratedSeconds)}${flow}.`;
}

/**
 * What the picture shows of a member, as it shows it.
 * @param {PageMember} member
 * @param {readonly PageMember[]} members
 */
function shown(member, members) {
  const { name, follows, level, state, ages } = member;
  return [name, follows, level, state, roleOf(member), flowOf(member, members), atMost(ages.integratedSeconds)];
}

/**
 * @param {string} text
 * @param {number} letters
 */
function cut(text, letters) {
  return text.length <= letters ? text : `${text.slice(0, Math.max(1, letters - 1))}…`;
}
