import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { afterimage } from "./afterimage.ts";

async function page(): Promise<string> {
  const { code, stdout } = await afterimage(["man"], { cwd: temporaryDirectory() });
  expect(code).toBe(0);
  return stdout;
}

test("the manual page has every command of the help text, and every exit code", async () => {
  const text = await page();
  const { stdout: help } = await afterimage(["--help"], { cwd: temporaryDirectory() });
  const commands = help.split("Commands:")[1]?.match(/^ {2}[a-z][a-z-]*/gm) ?? [];
  expect(commands.length).toBeGreaterThan(30);
  const described = [...text.matchAll(/^\.SS "([^" ]+)/gm)].map(([, name]) => name?.replaceAll("\\", ""));
  for (const command of commands) expect(described).toContain(command.trim());
  for (const code of [0, 1, 2, 3, 4, 5, 6]) expect(text).toContain(`.B "${code}"`);
  expect(text).not.toContain("tell\\-parent");
});

const groffIsMissing = spawnSync("groff", ["--version"]).error !== undefined;
if (groffIsMissing) console.warn("the manual page is not formatted: groff is not installed (Debian: groff)");

test.skipIf(groffIsMissing)("groff has no warning about the manual page", async () => {
  const path = join(temporaryDirectory(), "afterimage.1");
  writeFileSync(path, await page());
  const { status, stdout, stderr } = spawnSync("groff", ["-ww", "-man", "-Tascii", path], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("AFTERIMAGE(1)");
});
