/** The package as `npm pack` makes it, installed by npm, and the versions of Node that it is tried with. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const INSTALL_LIMIT_MS = 240_000;
const QUIET = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", "--prefer-offline"];

/** What npm says when it cannot reach the registry, which is no fault of the package. */
const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH/;

export type Installed = { readonly directory: string } | { readonly skipped: string };

/** Packs this tree, which builds it first. Returns the path of the tarball in `directory`. */
export function pack(directory: string): string {
  const output = execFileSync("npm", ["pack", "--silent", "--pack-destination", directory], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, ...environmentOf(process.execPath) },
  });
  return join(directory, output.trim().split("\n").at(-1) ?? "");
}

export function listTarball(path: string): string[] {
  const listed = execFileSync("tar", ["-tzf", path], { encoding: "utf8" });
  return listed.split("\n").flatMap((line) => (line === "" ? [] : [line.replace(/^package\//, "")]));
}

/** Into an empty prefix, as `npm install --global` does with that Node. */
export function installGlobally(tarball: string, prefix: string, node: string): Installed {
  return install(["install", "--global", "--prefix", prefix, ...QUIET, tarball], prefix, node);
}

/** Into `directory`, as an application's dependency. */
export function installLocally(tarball: string, directory: string): Installed {
  return install(["install", "--prefix", directory, ...QUIET, tarball], directory, process.execPath);
}

/** The program of this version of Node, from npm's registry, in a cache directory that is kept. */
export function nodeOfMajor(major: number): { readonly node: string } | { readonly skipped: string } {
  if (Number.parseInt(process.versions.node, 10) === major) return { node: process.execPath };
  const name = `node-linux-${process.arch}`;
  const cache = join(tmpdir(), `afterimage-node-${major}`);
  const node = join(cache, "node_modules", name, "bin", "node");
  if (existsSync(node)) return { node };
  mkdirSync(cache, { recursive: true });
  const installed = install(["install", "--prefix", cache, ...QUIET, `${name}@${major}`], cache, process.execPath);
  return "skipped" in installed ? installed : { node };
}

/** Only what a system always has, and that Node: an empty home directory, and no variable of this process. */
export function environmentOf(node: string, home = process.env.HOME ?? "/"): Record<string, string> {
  return { PATH: [dirname(node), "/usr/local/bin", "/usr/bin", "/bin"].join(delimiter), HOME: home };
}

function install(args: readonly string[], directory: string, node: string): Installed {
  const { status, stderr } = spawnSync("npm", args, {
    cwd: directory,
    encoding: "utf8",
    // How npm reaches the registry may be said in its environment.
    env: { ...process.env, ...environmentOf(node) },
    timeout: INSTALL_LIMIT_MS,
  });
  if (status === 0) return { directory };
  if (UNREACHABLE.test(stderr)) return { skipped: "the npm registry cannot be reached" };
  throw new Error(`npm ${args.join(" ")} failed: ${stderr}`);
}
