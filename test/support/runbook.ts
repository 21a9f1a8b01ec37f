/** The commands of docs/RUNBOOK.md and the like, run as they stand there by a shell on the machine that each block names, and compared with the answers there. */
import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { type DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { PROGRAM } from "../cli/afterimage.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const BLOCK = /```sh (\w+)\n(.*?)```\n(?:\n```text\n(.*?)```\n)?/gs;
const execute = promisify(execFile);

interface Step {
  readonly machine: string;
  readonly commands: string;
  /** Null when the page does not show the answer. */
  readonly answer: string | null;
}

/** Steps of a page below docs/ by heading. */
export function stepsOfPage(name: string): ReadonlyMap<string, readonly Step[]> {
  const document = readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
  const sections = document.split(/^## /m).slice(1);
  return new Map(
    sections.map((section): [string, Step[]] => {
      const steps = [...section.matchAll(BLOCK)].map(([, machine = "", commands = "", answer]) => {
        return { machine, commands, answer: answer ?? null };
      });
      return [section.slice(0, section.indexOf("\n")), steps];
    }),
  );
}

export const SITUATIONS = stepsOfPage("RUNBOOK.md");

/** The machines of the page. */
export class RunbookMachines {
  readonly set: DemoSet;
  /** What the test does itself, by the line that stands for it. */
  protected readonly ownLines = new Map<string, () => Promise<unknown>>();
  /** Variables that the page takes as given. */
  protected readonly variables: Record<string, string> = {};

  constructor(members: readonly DemoMember[]) {
    this.set = new DemoSet({ root: temporaryDirectory(), members });
    const program = join(this.set.root, "bin", "afterimage");
    mkdirSync(join(this.set.root, "bin"));
    writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${PROGRAM}" "$@"\n`);
    chmodSync(program, 0o755);
  }

  /** Where the disk of a lost machine is mounted; moves it there at the first call. */
  mount(member: string): string {
    const { root } = this.set;
    const disk = join(root, "mnt", member);
    if (existsSync(join(root, member))) {
      mkdirSync(join(disk, root), { recursive: true });
      renameSync(join(root, member), join(disk, root, member));
    }
    return disk;
  }

  /** Takes the next step of a situation, and returns what was printed. A daemon is started and stopped by the test, as no systemd is there. */
  async take({ machine, commands, answer }: Step): Promise<string> {
    let printed = "";
    for (const line of commands.trimEnd().split("\n")) {
      if (line === "sudo systemctl stop afterimage") await this.set.daemon(machine)?.terminate();
      else if (line === "sudo systemctl start afterimage") await this.#start(machine);
      else if (this.ownLines.has(line)) await this.ownLines.get(line)?.();
      else printed += await this.run(machine, line);
    }
    if (answer === null) return printed;
    const [actual, expected] = [this.#asOnThePage(printed, machine), answer].map(essence);
    if (!isAnswer(actual?.split("\n") ?? [], expected?.split("\n") ?? [])) expect(actual).toBe(expected);
    return printed;
  }

  async #start(member: string): Promise<void> {
    const before = this.set.status(member)?.heartbeat;
    this.set.startDaemon(member);
    const isUp = () => this.set.status(member)?.heartbeat !== before;
    await waitUntil(isUp, { what: `${member} has started`, stalledAfterMs: 30_000 });
  }

  /** Runs a line on a machine; paths are those of the page. */
  async run(machine: string, line: string): Promise<string> {
    const command = line
      .replaceAll("/var/lib/afterimage", this.set.statePath(machine))
      .replaceAll("/var/lib/shop", dirname(this.set.databasePath(machine)))
      .replaceAll("/srv/copies", join(this.set.root, "copies"))
      .replaceAll("/mnt/lisbon", join(this.set.root, "mnt", "lisbon"));
    const path = `${join(this.set.root, "bin")}:${process.env.PATH}`;
    const env = { ...process.env, ...this.variables, AFTERIMAGE_NODE: machine, PATH: path };
    const options = { cwd: this.set.root, env };
    // A status that is not well, and a copy that is damaged, are answers too.
    const { stdout } = await execute("bash", ["-uc", `{ ${command}; } 2>&1`], options).catch((error: unknown) => {
      const ended = error as { stdout: string; code: number };
      expect([line, ended.code, ended.stdout]).toEqual([line, expect.toBeOneOf([1, 5]), expect.any(String)]);
      return ended;
    });
    return stdout;
  }

  #asOnThePage(printed: string, machine: string): string {
    return printed
      .replaceAll(this.set.statePath(machine), "/var/lib/afterimage")
      .replaceAll(join(this.set.root, "mnt", "lisbon"), "/mnt/lisbon");
  }
}

/** Without what differs from run to run: times, positions, numbers, and the widths of columns. */
function essence(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replace(/\b[0-9a-f]{16}\b/g, "HEX")
    .replace(/\b\d[\d.,]*\b/g, "N")
    .replace(/ +/g, " ")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join("\n");
}

/** Whether the lines are those of the page, where `...` stands for any number of lines. */
function isAnswer(lines: readonly string[], expected: readonly string[]): boolean {
  const [first, ...rest] = expected;
  if (first === undefined) return lines.length === 0;
  if (first === "...") return isAnswer(lines, rest) || (lines.length > 0 && isAnswer(lines.slice(1), expected));
  return lines[0] === first && isAnswer(lines.slice(1), rest);
}
