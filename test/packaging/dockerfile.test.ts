/** What of the Dockerfile can be checked without a container engine. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const text = readFileSync(join(ROOT, "Dockerfile"), "utf8");
const instructions = text
  .replaceAll("\\\n", " ")
  .split("\n")
  .filter((line) => /^[A-Z]+ /.test(line));

function argumentsOf(name: string): string[] {
  return instructions.flatMap((line) => (line.startsWith(`${name} `) ? [line.slice(name.length + 1)] : []));
}

const copied = argumentsOf("COPY").flatMap((line) => {
  const words = line.split(/\s+/);
  return words[0]?.startsWith("--from") ? [] : words.slice(0, -1);
});

test("everything that is copied is there, and in the build's context", () => {
  const context = readFileSync(join(ROOT, ".dockerignore"), "utf8").split("\n");
  expect(copied.length).toBeGreaterThan(8);
  for (const path of copied) {
    expect(existsSync(join(ROOT, path)), path).toBe(true);
    expect(context).toContain(`!${path}`);
  }
});

test("everything that the package holds or is built from is copied", () => {
  const { files } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const built = ["dist", "man"];
  const wanted = files.filter((path: string) => !path.startsWith("!") && !built.includes(path));
  for (const path of [...wanted, "src", "scripts/build.js", "tsconfig.types.json"]) expect(copied).toContain(path);
});

test("the container runs the daemon, not as root, and ends it with the signal that it obeys", () => {
  expect(instructions.findLastIndex((line) => line.startsWith("RUN "))).toBeLessThan(
    instructions.findIndex((line) => line.startsWith("USER afterimage")),
  );
  expect(argumentsOf("ENTRYPOINT")).toEqual(['["afterimage", "--config", "/etc/afterimage.yaml"]']);
  expect(argumentsOf("CMD")).toEqual(['["run"]']);
  expect(argumentsOf("STOPSIGNAL")).toEqual(["SIGTERM"]);
});
