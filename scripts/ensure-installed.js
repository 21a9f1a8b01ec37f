/**
 * Makes `npm test` and `npm run demo` work as the first command of a fresh clone: runs `npm ci` when node_modules does not
 * hold what package-lock.json asks for, and does nothing, silently, when it does.
 *
 * Plain JavaScript without dependencies, for Node 20 and later: it runs before there is anything else.
 *
 * The lock file is compared by content with npm's own record of what it installed (node_modules/.package-lock.json), not
 * by time: a checkout or an editor touches files, and a needless `npm ci` removes node_modules under running programs.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const lockDirectory = path.join(root, ".install-lock");
const POLL_MS = 250;
/** A holder that has not written its process ID by then died between the two steps. */
const UNNAMED_HOLDER_MS = 5_000;

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages ?? null;
  } catch {
    return null;
  }
}

/** What has to be installed, as a sentence for the user; null when nothing has. */
function whatIsMissing() {
  const wanted = packagesOf(path.join(root, "package-lock.json"));
  if (wanted === null) return null;
  const installed = packagesOf(path.join(root, "node_modules", ".package-lock.json"));
  if (installed === null) return "node_modules is missing or incomplete";
  for (const [location, entry] of Object.entries(wanted)) {
    if (location === "") continue;
    const present = installed[location];
    // npm leaves out optional packages of other platforms.
    if (present === undefined && (entry.optional || entry.devOptional || entry.peer)) continue;
    if (present?.version !== entry.version || present?.integrity !== entry.integrity) {
      return `node_modules is older than package-lock.json (${location})`;
    }
  }
  return nodeIsMissing() ? "the Node that the tests run on is missing" : null;
}

/** The `node` package gets its program from an install script, which npm can have been told not to run. */
function nodeIsMissing() {
  if (Number.parseInt(process.versions.node, 10) >= 24) return false;
  return !existsSync(path.join(root, "node_modules", "node", "bin", "node"));
}

function isAlive(processId) {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function sleep(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Waits until no other process installs here; a lock left by a dead process is removed. */
function acquireLock() {
  let unnamedMs = 0;
  for (;;) {
    try {
      mkdirSync(lockDirectory);
      writeFileSync(path.join(lockDirectory, "pid"), String(process.pid));
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const holder = readHolder();
    unnamedMs = holder === null ? unnamedMs + POLL_MS : 0;
    if (holder === null ? unnamedMs > UNNAMED_HOLDER_MS : !isAlive(holder)) {
      rmSync(lockDirectory, { recursive: true, force: true });
      unnamedMs = 0;
    } else {
      sleep(POLL_MS);
    }
  }
}

function readHolder() {
  try {
    const processId = Number.parseInt(readFileSync(path.join(lockDirectory, "pid"), "utf8"), 10);
    return Number.isNaN(processId) ? null : processId;
  } catch {
    return null;
  }
}

/**
 * The Node that npm itself runs on, and a PATH without this checkout's programs: `npm ci` removes node_modules first, and
 * must not depend on a program in it.
 */
function installationEnvironment() {
  const own = path.join(root, "node_modules");
  const parts = (process.env.PATH ?? "").split(path.delimiter).filter((part) => !part.startsWith(own));
  return { ...process.env, PATH: parts.join(path.delimiter) };
}

function npm(npmArguments) {
  const npmScript = process.env.npm_execpath;
  const npmNode = process.env.npm_node_execpath;
  const options = { cwd: root, stdio: ["ignore", 2, 2], env: installationEnvironment() };
  const common = [...npmArguments, "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
  const result =
    npmScript !== undefined && npmNode !== undefined && /\.c?js$/.test(npmScript)
      ? spawnSync(npmNode, [npmScript, ...common], options)
      : spawnSync("npm", common, options);
  if (result.error !== undefined) throw result.error;
  return result.status ?? 1;
}

/**
 * Only the `node` package may run its install script. The others need none, and one of them must not: better-sqlite3 brings
 * its binaries and says `gypfile: false`, but npm does not keep that in the lock file, so that a plain `npm ci` compiles it.
 */
function install() {
  const status = npm(["ci", "--include=dev", "--ignore-scripts"]);
  return status === 0 ? npm(["rebuild", "node", "--ignore-scripts=false"]) : status;
}

function main() {
  if (whatIsMissing() === null) return 0;
  acquireLock();
  try {
    const missing = whatIsMissing();
    if (missing === null) return 0;
    process.stderr.write(`${missing}: running npm ci\n`);
    const status = install();
    if (status !== 0) return status;
    const still = whatIsMissing();
    if (still === null) return 0;
    process.stderr.write(`${still}; try: rm -rf node_modules && npm ci\n`);
    return 1;
  } finally {
    rmSync(lockDirectory, { recursive: true, force: true });
  }
}

process.exitCode = main();
