/** The pre-script against a stand-in for npm, which only writes down what it was asked for. */

import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/ensure-installed.js", import.meta.url));
const run = promisify(execFile);

/** Takes a while, as npm does, so that two at once would overlap. */
const NPM = `
const fs = require("node:fs");
fs.appendFileSync("npm.log", process.argv.slice(2).join(" ") + "\\n");
if (process.argv[2] === "ci") {
  fs.writeFileSync("installing", "", { flag: "wx" });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  fs.mkdirSync("node_modules", { recursive: true });
  const { packages } = JSON.parse(fs.readFileSync("package-lock.json", "utf8"));
  const installed = Object.fromEntries(Object.entries(packages).filter(([name]) => !name.includes("other-platform")));
  fs.writeFileSync("node_modules/.package-lock.json", JSON.stringify({ packages: installed }));
  fs.unlinkSync("installing");
}
process.exit(fs.existsSync("npm-fails") ? 7 : 0);
`;

function lock(version: string): string {
  return JSON.stringify({
    packages: {
      "": { name: "checkout" },
      "node_modules/a": { version, integrity: "sha512-a" },
      "node_modules/other-platform": { version: "1.0.0", optional: true },
    },
  });
}

function checkout() {
  const root = temporaryDirectory();
  mkdirSync(join(root, "scripts"));
  cpSync(SCRIPT, join(root, "scripts", "ensure-installed.js"));
  writeFileSync(join(root, "package.json"), `{ "type": "module" }`);
  writeFileSync(join(root, "package-lock.json"), lock("1.0.0"));
  writeFileSync(join(root, "npm.cjs"), NPM);
  const environment = { ...process.env, npm_execpath: join(root, "npm.cjs"), npm_node_execpath: process.execPath };
  const ensure = () => run(process.execPath, [join(root, "scripts", "ensure-installed.js")], { env: environment });
  const calls = () =>
    existsSync(join(root, "npm.log")) ? readFileSync(join(root, "npm.log"), "utf8").trim().split("\n") : [];
  return { root, ensure, calls };
}

test("installs in a fresh clone, and then does nothing, silently", async () => {
  const { root, ensure, calls } = checkout();
  expect((await ensure()).stderr).toBe("node_modules is missing or incomplete: running npm ci\n");
  expect(calls()).toEqual([
    expect.stringMatching(/^ci --include=dev --ignore-scripts /),
    expect.stringMatching(/^rebuild node --ignore-scripts=false /),
  ]);
  expect(await ensure()).toEqual({ stdout: "", stderr: "" });
  // A checkout or an editor that only touches the lock file is no reason.
  utimesSync(join(root, "package-lock.json"), new Date(), new Date(Date.now() + 60_000));
  expect(await ensure()).toEqual({ stdout: "", stderr: "" });
  expect(calls()).toHaveLength(2);
  expect(existsSync(join(root, ".install-lock"))).toBe(false);
});

test("installs again when the lock file asks for another version", async () => {
  const { root, ensure } = checkout();
  await ensure();
  writeFileSync(join(root, "package-lock.json"), lock("1.0.1"));
  expect((await ensure()).stderr).toContain("older than package-lock.json (node_modules/a)");
});

test("two at once install one after the other, the second finding nothing to do", async () => {
  const { ensure, calls } = checkout();
  await Promise.all([ensure(), ensure(), ensure()]);
  expect(calls().filter((call) => call.startsWith("ci "))).toHaveLength(1);
});

test("a lock that a killed process left behind is taken over", async () => {
  const { root, ensure, calls } = checkout();
  const { pid } = await killedProcess();
  mkdirSync(join(root, ".install-lock"));
  writeFileSync(join(root, ".install-lock", "pid"), String(pid));
  await ensure();
  expect(calls()).toHaveLength(2);
});

test("npm's failure is the script's", async () => {
  const { root, ensure } = checkout();
  writeFileSync(join(root, "npm-fails"), "");
  await expect(ensure()).rejects.toMatchObject({ code: 7 });
  expect(existsSync(join(root, ".install-lock"))).toBe(false);
});

async function killedProcess(): Promise<{ pid: number }> {
  const { stdout } = await run(process.execPath, ["-p", "process.pid"]);
  return { pid: Number(stdout) };
}
