import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { afterimage, startAfterimage } from "./afterimage.ts";

const PAIR = `mirror: clinic
operational: lisbon
members:
  lisbon: { mailbox: "file:///m/lisbon", state: /nowhere/lisbon, databases: { shop: /d/lisbon.db } }
  porto: { mailbox: "file:///m/porto", state: /nowhere/porto, databases: { shop: /d/porto.db } }
`;

/** A program that says that it is an old Node before bin/afterimage looks. */
const OLD_NODE = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.20.0" } });`;

describe("usage", () => {
  test("--version prints the version of the package", async () => {
    const { code, stdout } = await afterimage(["--version"], { cwd: temporaryDirectory() });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  test("--help names the commands and the exit codes", async () => {
    const { code, stdout, stderr } = await afterimage(["--help"], { cwd: temporaryDirectory() });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const command of [
      "init",
      "run",
      "status",
      "rotate",
      "ship",
      "snapshot",
      "integrate",
      "segments",
      "inspect",
      "verify",
      "fence",
      "demo",
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, "m"));
    }
    expect(stdout).toContain("5 out of sync");
  });

  test.each([
    ["no command", [], "no command was given"],
    ["an unknown command", ["statsu"], "Did you mean status?"],
    ["an unknown flag", ["status", "--jsn"], "Did you mean --json?"],
    ["a missing argument", ["inspect"], "missing required argument 'file'"],
    ["a number that is none", ["segments", "--limit", "x"], "whole number"],
  ])("%s ends with 2 and says what is wrong", async (_, args, message) => {
    const { code, stdout, stderr } = await afterimage(args, { cwd: temporaryDirectory() });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("error USAGE: ");
    expect(stderr).toContain(message);
    expect(stderr).toContain("\n  next: see `afterimage --help`");
  });

  test("with --json an error is one JSON document on standard output", async () => {
    const { code, stdout, stderr } = await afterimage(["nonsense", "--json"], { cwd: temporaryDirectory() });
    expect({ code, stderr }).toEqual({ code: 2, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "USAGE", path: null, hint: expect.any(String) } });
  });
});

describe("the configuration", () => {
  test("that is nowhere is said to be missing", async () => {
    const { code, stderr } = await afterimage(["status"], { cwd: temporaryDirectory() });
    expect(code).toBe(2);
    expect(stderr).toContain("error CONFIG_MISSING: ");
  });

  test("is found in the working directory, and checked", async () => {
    const cwd = temporaryDirectory();
    const file = join(cwd, "afterimage.yaml");
    writeFileSync(file, PAIR);
    expect(await afterimage(["config", "check"], { cwd })).toMatchObject({ code: 0, stdout: `${file}: no faults\n` });
    writeFileSync(file, PAIR.replace("operational: lisbon", "operational: lisbn"));
    const { code, stdout } = await afterimage(["config", "check"], { cwd });
    expect(code).toBe(2);
    expect(stdout).toBe(`${file}:2:14: MEMBER_UNKNOWN operational: there is no member "lisbn"; did you mean lisbon?\n`);
  });

  test("with faults is reported as JSON, by the check and by other commands", async () => {
    const cwd = temporaryDirectory();
    const file = join(cwd, "other.yaml");
    writeFileSync(file, `${PAIR}surplus: 1\n`);
    const fault = { code: "KEY_UNKNOWN", path: "surplus", line: 6, column: 1 };
    const check = await afterimage(["config", "check", "--config", "other.yaml", "--json"], { cwd });
    expect(check.code).toBe(2);
    expect(JSON.parse(check.stdout)).toMatchObject({ file, ok: false, faults: [fault] });
    const status = await afterimage(["--json", "--config", "other.yaml", "status"], { cwd });
    expect(status.code).toBe(2);
    expect(JSON.parse(status.stdout)).toMatchObject({ error: { code: "CONFIG_INVALID", path: file, faults: [fault] } });
  });

  test("does not say which member this machine is, and then a name is asked for", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "afterimage.yaml"), PAIR);
    const nobody = await afterimage(["status"], { cwd });
    expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining("error NODE_REQUIRED: ") });
    const unknown = await afterimage(["status"], { cwd, environment: { AFTERIMAGE_NODE: "prto" } });
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean porto?") });
  });
});

describe("an old Node", () => {
  function preload(cwd: string): string[] {
    writeFileSync(join(cwd, "old-node.cjs"), OLD_NODE);
    return ["--require", join(cwd, "old-node.cjs")];
  }

  test("hands over to the checkout's own, with the exit code", async () => {
    const cwd = temporaryDirectory();
    const nodeFlags = preload(cwd);
    expect(await afterimage(["--version"], { cwd, nodeFlags })).toMatchObject({ code: 0, stderr: "" });
    expect(await afterimage(["nonsense"], { cwd, nodeFlags })).toMatchObject({ code: 2 });
  });

  test("passes signals on", async () => {
    const cwd = temporaryDirectory();
    const { child, ended } = startAfterimage(["demo", "--seconds", "600"], { cwd, nodeFlags: preload(cwd) });
    // The first line shows that the command runs, and has its handlers.
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    child.kill("SIGTERM");
    expect(await ended).toMatchObject({ code: 130, stderr: expect.stringContaining("Interrupted") });
  });

  test("that is killed takes what it handed over to with it", async () => {
    const cwd = temporaryDirectory();
    const { child, ended } = startAfterimage(["demo", "--seconds", "600"], { cwd, nodeFlags: preload(cwd) });
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    child.kill("SIGKILL");
    expect(await ended).toMatchObject({ signal: "SIGKILL", stderr: expect.stringContaining("Interrupted") });
  });

  test("that has nobody to hand over to says what to install", async () => {
    const cwd = temporaryDirectory();
    const environment = { AFTERIMAGE_HANDED_OVER: "1" };
    const { code, stderr } = await afterimage(["--version"], { cwd, nodeFlags: preload(cwd), environment });
    expect(code).toBe(2);
    expect(stderr).toContain("error NODE_TOO_OLD: Afterimage needs Node 24 or later; this is 18.20.0");
  });
});
