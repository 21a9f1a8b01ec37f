/**
 * Where the members stand in the picture: in columns by how many members are between them and the operational one, or, where that
 * is too wide, indented beneath each other as in `afterimage status`. Knows nothing of the browser.
 */

/** @typedef {{ readonly name: string, readonly follows: string | null }} Placed */
/** @typedef {{ readonly name: string, readonly depth: number, readonly x: number, readonly y: number, readonly width: number }} PlacedNode */
/**
 * @typedef {object} PlacedEdge
 * @property {string} from
 * @property {string} to
 * @property {string} path
 * @property {number} labelX where its text begins
 * @property {number} labelY of the line on which the edge arrives; the text is above and below it
 * @property {boolean} isBelow whether text may stand below the line too, or both lines are above it
 */
/** @typedef {{ readonly width: number, readonly height: number, readonly nodes: readonly PlacedNode[], readonly edges: readonly PlacedEdge[] }} Layout */

export const NODE_HEIGHT = 82;
const NODE_WIDTH = 216;
const LEAST_GAP = 158;
const MOST_GAP = 300;
const COLUMN_ROW_GAP = 22;
const INDENT = 24;
const LABEL_ROOM = 48;
const RADIUS = 8;
/** Of the line from which edges branch off. */
const TRUNK = 12;

/**
 * @param {readonly Placed[]} members
 * @param {number} width of the picture
 * @returns {Layout}
 */
export function layOut(members, width) {
  const tree = inTree(members);
  const deepest = Math.max(0, ...tree.map(({ depth }) => depth));
  const gap = deepest === 0 ? 0 : Math.min(MOST_GAP, (width - (deepest + 1) * NODE_WIDTH) / deepest);
  return deepest > 0 && gap < LEAST_GAP ? indented(tree, width) : inColumns(tree, width, gap);
}

/** @typedef {Placed & { readonly depth: number, readonly parent: string | null }} TreeMember */

/**
 * Every member once, each after the one that it follows; what follows in a circle stands alone.
 * @param {readonly Placed[]} members
 * @returns {TreeMember[]}
 */
function inTree(members) {
  /** @type {Map<string, TreeMember>} */
  const placed = new Map();
  /** @type {(member: Placed, parent: TreeMember | null) => void} */
  const place = (member, parent) => {
    if (placed.has(member.name)) return;
    const here = { ...member, depth: parent === null ? 0 : parent.depth + 1, parent: parent?.name ?? null };
    placed.set(member.name, here);
    for (const follower of members) if (follower.follows === member.name) place(follower, here);
  };
  const names = new Set(members.map(({ name }) => name));
  for (const member of members) if (member.follows === null || !names.has(member.follows)) place(member, null);
  for (const member of members) place(member, null);
  return [...placed.values()];
}

/**
 * @param {readonly TreeMember[]} tree
 * @param {number} width
 * @param {number} gap between two columns
 * @returns {Layout}
 */
function inColumns(tree, width, gap) {
  const step = NODE_HEIGHT + COLUMN_ROW_GAP;
  /** @type {Map<string, PlacedNode>} */
  const nodes = new Map();
  let leaves = 0;
  // From the last one on, so that the followers of a member have their places before it.
  for (const { name, depth } of [...tree].reverse()) {
    const rows = tree.filter(({ parent }) => parent === name).map((each) => nodes.get(each.name)?.y ?? 0);
    const y = rows.length === 0 ? leaves++ * step : (Math.min(...rows) + Math.max(...rows)) / 2;
    nodes.set(name, { name, depth, x: depth * (NODE_WIDTH + gap), y, width: NODE_WIDTH });
  }
  const height = Math.max(1, leaves) * step - COLUMN_ROW_GAP;
  // The first leaf was placed last.
  const upright = tree.flatMap(({ name }) => {
    const node = nodes.get(name);
    return node === undefined ? [] : [{ ...node, y: height - NODE_HEIGHT - node.y }];
  });
  const edges = edgesOf(tree, upright).map(({ from, to }) => {
    const [startX, startY] = [from.x + from.width, from.y + NODE_HEIGHT / 2];
    const y = to.y + NODE_HEIGHT / 2;
    const path = elbow(startX, startY, startX + TRUNK * 1.5, y, to.x);
    return { from: from.name, to: to.name, path, labelX: startX + TRUNK * 1.5 + RADIUS, labelY: y, isBelow: true };
  });
  return { width, height, nodes: upright, edges };
}

/**
 * @param {readonly TreeMember[]} tree
 * @param {number} width
 * @returns {Layout}
 */
function indented(tree, width) {
  let y = 0;
  const nodes = tree.map(({ name, depth }, i) => {
    if (i > 0) y += NODE_HEIGHT + (depth === 0 ? COLUMN_ROW_GAP : LABEL_ROOM);
    return { name, depth, x: depth * INDENT, y, width: width - depth * INDENT };
  });
  const edges = edgesOf(tree, nodes).map(({ from, to }) => {
    const [x, end] = [from.x + TRUNK, to.y + NODE_HEIGHT / 2];
    const path = `M${x} ${from.y + NODE_HEIGHT} V${end - RADIUS} Q${x} ${end} ${x + RADIUS} ${end} H${to.x}`;
    return { from: from.name, to: to.name, path, labelX: to.x + 2, labelY: to.y - 4, isBelow: false };
  });
  return { width, height: y + NODE_HEIGHT, nodes, edges };
}

/**
 * @param {readonly TreeMember[]} tree
 * @param {readonly PlacedNode[]} nodes
 */
function edgesOf(tree, nodes) {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  return tree.flatMap(({ name, parent }) => {
    const [from, to] = [byName.get(parent ?? ""), byName.get(name)];
    return from === undefined || to === undefined ? [] : [{ from, to }];
  });
}

/**
 * To the right, up or down, and to the right again.
 * @param {number} startX
 * @param {number} startY
 * @param {number} trunkX
 * @param {number} endY
 * @param {number} endX
 */
function elbow(startX, startY, trunkX, endY, endX) {
  if (Math.abs(endY - startY) < 1) return `M${startX} ${startY} H${endX}`;
  const turn = Math.sign(endY - startY) * Math.min(RADIUS, Math.abs(endY - startY) / 2);
  const [before, after] = [
    `Q${trunkX} ${startY} ${trunkX} ${startY + turn}`,
    `Q${trunkX} ${endY} ${trunkX + RADIUS} ${endY}`,
  ];
  return `M${startX} ${startY} H${trunkX - RADIUS} ${before} V${endY - turn} ${after} H${endX}`;
}
