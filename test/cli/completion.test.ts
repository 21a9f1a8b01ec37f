/** Completion as the shells ask for it; each of them is asked itself where it is installed. */
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { afterimage, PROGRAM } from "./afterimage.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

const CONFIGURATION = `
mirror: clinic
operational: lisbon
members:
  lisbon: { mailbox: "file:///srv/lisbon", state: /var/lib/l, databases: { patients: /srv/p.db, billing: /srv/b.db } }
  porto: { mailbox: "file:///srv/porto", state: /var/lib/p, databases: { patients: /srv/p.db, billing: /srv/b.db } }
`;

let directory: string;

beforeEach(() => {
  directory = temporaryDirectory();
  writeFileSync(join(directory, "afterimage.yaml"), CONFIGURATION);
});

async function complete(...words: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await afterimage(["complete", "--", ...words], { cwd: directory });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.split("\n").flatMap((line) => (line === "" ? [] : [line.split("\t")[0] ?? ""]));
}

test("commands are offered by what they begin with, and those below a command after it", async () => {
  expect(await complete("re")).toEqual(["reload", "resume", "restore", "rebuild", "rejoin"]);
  expect(await complete("config", "")).toEqual(["check", "help"]);
});

test("options are those of the command and of the program; what is hidden is not offered", async () => {
  expect(await complete("sync", "--")).toEqual([
    ...["--members", "--timeout", "--help", "--version", "--config", "--node", "--json", "--quiet"],
  ]);
  expect(await complete("run", "--t")).toEqual([]);
  expect(await complete("sync", "--", "--")).toEqual([]);
});

test("names come from the configuration, also in a list, and closed sets of words from the command", async () => {
  expect(await complete("--node", "")).toEqual(["lisbon", "porto"]);
  expect(await complete("validate", "p")).toEqual(["porto"]);
  expect(await complete("rotate", "patients", "")).toEqual(["patients", "billing"]);
  expect(await complete("sync", "--members", "lisbon,")).toEqual(["lisbon,porto"]);
  expect(await complete("status", "--format", "")).toEqual(["pretty", "json", "yaml", "tsv"]);
  expect(await complete("restore", "billing", "--to", "")).toEqual([":files"]);
});

test("without a configuration that can be read no names are offered, and nothing is said", async () => {
  writeFileSync(join(directory, "afterimage.yaml"), "members: [");
  expect(await complete("validate", "")).toEqual([]);
});

/** Loads the script as a user does, and has the shell complete `line`. */
const ASK: Readonly<Record<Shell, (line: string) => string[]>> = {
  bash: (line) => {
    const words = line.split(" ").map((word) => `'${word}'`);
    const ask = `COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _afterimage; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return ["-c", `source <(afterimage completion bash); complete -p afterimage >/dev/null && { ${ask}; }`];
  },
  // Completion in zsh needs a terminal: what the function would offer is taken from it.
  zsh: (line) => [
    ...["-f", "-c"],
    `compdef() { :; }; _describe() { printf '%s\\n' "\${(@)candidates%%:*}"; }; _files() { :; };
     source <(afterimage completion zsh); words=(${line
       .split(" ")
       .map((word) => `'${word}'`)
       .join(" ")}); CURRENT=\${#words}; _afterimage`,
  ],
  fish: (line) => [
    "--no-config",
    "-c",
    `afterimage completion fish | source; complete -C '${line}' | string split -f1 \\t`,
  ],
};

const missing = SHELLS.filter((shell) => spawnSync(shell, ["--version"]).error !== undefined);
if (missing.length > 0) console.warn(`not asked to complete: ${missing.join(", ")} (not installed)`);

test.for(SHELLS.filter((shell) => !missing.includes(shell)))("%s completes commands and names", (shell) => {
  const bin = join(directory, "bin");
  mkdirSync(bin);
  symlinkSync(PROGRAM, join(bin, "afterimage"));
  const environment = {
    ...process.env,
    PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH}`,
    HOME: directory,
  };
  const ask = (line: string) => {
    const { stdout, stderr } = spawnSync(shell, ASK[shell](line), {
      cwd: directory,
      encoding: "utf8",
      env: environment,
    });
    expect(stderr).toBe("");
    return stdout.trim().split("\n").toSorted();
  };
  expect(ask("afterimage rej")).toEqual(["rejoin"]);
  expect(ask("afterimage validate ")).toEqual(["lisbon", "porto"]);
  expect(ask("afterimage status --format t")).toEqual(["tsv"]);
});
