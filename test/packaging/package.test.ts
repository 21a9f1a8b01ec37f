/** The package, from its tarball: what is in it, and that it works where nothing of this tree is. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import {
  environmentOf,
  installGlobally,
  installLocally,
  listTarball,
  nodeOfMajor,
  pack,
  ROOT,
} from "./package-under-test.ts";

/** A page, charts and all: what grows beyond is worth a look. */
const TARBALL_BOUND_BYTES = 1_000_000;

let directory = "";
let tarball = "";

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "afterimage-package-"));
  tarball = pack(directory);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function emptyDirectory(name: string): string {
  const path = mkdtempSync(join(directory, `${name}-`));
  mkdirSync(join(path, "home"));
  return path;
}

test("the tarball holds the program, its examples, documentation and declarations, and nothing else", () => {
  const files = listTarball(tarball);
  const known = [
    /^(package\.json|LICENSE|README\.md|man\/afterimage\.1)$/,
    /^bin\/(afterimage|package\.json)$/,
    /^dist\/.+\.(js|d\.ts)$/,
    /^(config|docs)\//,
    /^page\/[a-z-]+\.(js|css|html|svg)$/,
  ];
  expect(files.filter((file) => !known.some((pattern) => pattern.test(file)))).toEqual([]);
  expect(files.filter((file) => file.endsWith(".d.ts")).length).toBeLessThan(20);
  const needed = ["dist/index.js", "dist/index.d.ts", "dist/cli/main.js", "dist/divergence/comparison-child.js"];
  for (const file of [...needed, "dist/demo/demo-application.js", "config/systemd/afterimage.service", "docs/API.md"])
    expect(files).toContain(file);
  expect(statSync(tarball).size).toBeLessThan(TARBALL_BOUND_BYTES);
});

test.for([24, 26])("installed on Node %i it demonstrates itself and serves a pair", async (major, { skip, signal }) => {
  const found = nodeOfMajor(major);
  if ("skipped" in found) return skip(`Node ${major} cannot be had: ${found.skipped}`);
  const { node } = found;
  const prefix = emptyDirectory(`prefix-${major}`);
  const installed = installGlobally(tarball, prefix, node);
  if ("skipped" in installed) return skip(installed.skipped);
  const cwd = emptyDirectory(`cwd-${major}`);
  const environment = environmentOf(node, join(cwd, "home"));
  const program = join(prefix, "bin", "afterimage");
  const run = (...args: string[]) => execFileSync(program, args, { cwd, env: environment, encoding: "utf8" });

  expect(execFileSync(node, ["--version"], { encoding: "utf8" })).toMatch(`v${major}.`);
  expect(run("--version")).toBe(`${JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version}\n`);
  expect(existsSync(join(prefix, "share", "man", "man1", "afterimage.1"))).toBe(true);
  expect(run("demo", "--seconds", "5", "--no-failover")).toContain("All mirrors are identical");

  initPair(cwd, run);
  const daemons = ["lisbon", "porto"].map((name) =>
    spawn(program, ["run", "--node", name], { cwd, env: environment, stdio: "ignore", signal }),
  );
  for (const daemon of daemons) daemon.on("error", () => undefined);
  onTestFinished(() => daemons.forEach((daemon) => void daemon.kill("SIGKILL")));
  await eventually(
    signal,
    () => spawnSync(program, ["status", "--node", "lisbon"], { cwd, env: environment }).status === 0,
  );
  expect(run("sync", "--node", "lisbon", "--timeout", "30s")).toMatch(/^porto: clinic at [0-9a-f]{16}$/m);
  const { members } = JSON.parse(run("status", "--node", "lisbon", "--json"));
  expect(members.map(({ member, role }: { member: string; role: string }) => [member, role])).toEqual([
    ["lisbon", "operational"],
    ["porto", "mirror"],
  ]);
  for (const daemon of daemons) daemon.kill("SIGTERM");
  await Promise.all(daemons.map((daemon) => daemon.exitCode ?? once(daemon, "exit")));
  expect(daemons.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
});

test("an application embeds a member, which compiles against the declarations and loads no SQLite into it", async ({
  skip,
  signal,
}) => {
  const app = emptyDirectory("application");
  writeFileSync(join(app, "package.json"), JSON.stringify({ type: "module" }));
  const installed = installLocally(tarball, app);
  if ("skipped" in installed) return skip(installed.skipped);
  cpSync(join(ROOT, "config", "examples", "application.ts"), join(app, "application.ts"));
  compile(app);
  const environment = environmentOf(process.execPath, join(app, "home"));
  const program = join(app, "node_modules", ".bin", "afterimage");
  initPair(app, (...args) => execFileSync(program, args, { cwd: app, env: environment, encoding: "utf8" }));

  const porto = spawn(program, ["run", "--node", "porto"], { cwd: app, env: environment, stdio: "ignore", signal });
  porto.on("error", () => undefined);
  onTestFinished(() => void porto.kill("SIGKILL"));
  const args = ["application.ts", "afterimage.yaml", "lisbon", "lisbon.db"];
  const application = spawnSync(process.execPath, args, { cwd: app, env: environment, encoding: "utf8" });
  expect(application.stdout).toMatch(/^porto has transaction [0-9a-f]{16}\n/);
  expect(application.stdout).toContain("lisbon operational");
  expect(application.status).toBe(0);
  porto.kill("SIGTERM");
  await once(porto, "exit");

  const mirror = new Database(join(app, "porto.db"), { readonly: true });
  expect(mirror.prepare("SELECT count(*) AS n FROM orders").get()).toEqual({ n: 100 });
  mirror.close();
  const script = 'await import("afterimage"); console.log(process.report.getReport().sharedObjects.join())';
  const loaded = execFileSync(process.execPath, ["--input-type=module", "-e", script], { cwd: app, encoding: "utf8" });
  expect(loaded).not.toContain("better_sqlite3");
});

/** lisbon and porto beside each other in `cwd`, with one database, as `init` of the installed program makes them. */
function initPair(cwd: string, run: (...args: string[]) => string): void {
  const database = new Database(join(cwd, "lisbon.db"));
  database.exec("CREATE TABLE visits (id INTEGER PRIMARY KEY); INSERT INTO visits VALUES (1)");
  database.close();
  const flags = ["lisbon", "porto"].flatMap((name) => [
    ...["--member", `${name}=file://${cwd}/${name}`, "--state", `${name}=${cwd}/${name}-state`],
    ...["--database", `${name}:clinic=${cwd}/${name}.db`],
  ]);
  const set = ["--mirror", "clinic", "--operational", "lisbon", "--rotate", "continuous", "--convert-wal"];
  run("init", "--node", "lisbon", ...set, ...flags);
  run("init", "--node", "porto");
}

/** With every check of a careful consumer; types of Node and of the SQLite driver are this tree's. */
function compile(app: string): void {
  symlinkSync(join(ROOT, "node_modules", "@types"), join(app, "node_modules", "@types"));
  const compilerOptions = {
    ...{ target: "es2024", module: "nodenext", strict: true, noEmit: true, types: ["node"] },
    ...{ exactOptionalPropertyTypes: true, skipLibCheck: false, lib: ["es2024", "esnext.disposable"] },
  };
  writeFileSync(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["application.ts"] }));
  const { status, stdout } = spawnSync(join(ROOT, "node_modules", ".bin", "tsc"), ["-p", app], { encoding: "utf8" });
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
}

async function eventually(signal: AbortSignal, condition: () => boolean): Promise<void> {
  while (!condition()) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
