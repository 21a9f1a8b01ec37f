import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { z } from "zod";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/afterimage", import.meta.url));

const hex16 = z.string().regex(/^[0-9a-f]{16}$/);
const resultSchema = z.strictObject({
  ok: z.boolean(),
  transport: z.literal("sftp"),
  seconds: z.int(),
  committed: z.int(),
  members: z.array(
    z.strictObject({
      member: z.string(),
      follows: z.string(),
      integrated: z.strictObject({ epoch: z.int(), txid: hex16, checksum: hex16 }),
      identical: z.boolean(),
      lagMs: z.strictObject({ p50: z.number(), p99: z.number() }),
      reads: z.int(),
      readErrors: z.int(),
    }),
  ),
  failover: z.strictObject({ lost: z.int(), secondsToPromote: z.number(), secondsToRecover: z.number() }).nullable(),
});

/** Runs the demonstration with a temporary directory of its own, so that what it leaves behind can be seen. */
function startDemo(...args: string[]): { demo: ManagedProcess; temporary: string; output: () => string[] } {
  const temporary = temporaryDirectory();
  const directory = temporaryDirectory();
  const logPath = join(directory, "stdout.log");
  const command = `exec "$0" "$@" 2>"${join(directory, "stderr.log")}"`;
  const demo = ManagedProcess.start(
    "demo",
    "env",
    [`TMPDIR=${temporary}`, "sh", "-c", command, process.execPath, PROGRAM, "demo", ...args],
    logPath,
  );
  return { demo, temporary, output: () => readFileSync(logPath, "utf8").trimEnd().split("\n") };
}

/** Command lines of running processes that name a file below `directory`. */
function processesThatUse(directory: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(directory));
}

test("the demonstration loses a machine and no commit, ends with identical mirrors, and says so in JSON", async () => {
  const { demo, temporary, output } = startDemo("--seconds", "6", "--rate", "150", "--json");
  expect(await demo.exited).toEqual({ code: 0, signal: null });
  const lines = output();
  expect(lines).toHaveLength(1);
  const result = resultSchema.parse(JSON.parse(lines[0] ?? ""));
  expect(result).toMatchObject({ ok: true, seconds: 6 });
  expect(result.committed).toBeGreaterThan(6 * 100);
  expect(result.members.map(({ member, follows }) => [member, follows])).toEqual([
    ["porto", "lisbon"],
    ["coimbra", "lisbon"],
    ["faro", "porto"],
    ["lisbon", "porto"],
  ]);
  for (const member of result.members) {
    expect(member).toMatchObject({ identical: true, readErrors: 0, integrated: result.members[0]?.integrated });
    expect(member.reads).toBeGreaterThan(20);
  }
  expect(result.members[0]?.integrated.epoch).toBeGreaterThan(1);
  expect(result.failover).toMatchObject({ lost: 0, secondsToPromote: expect.any(Number) });
  expect(readdirSync(temporary)).toEqual([]);
  expect(processesThatUse(temporary)).toEqual([]);
});

test("without a loss the demonstration ends as it began", async () => {
  const { demo, output } = startDemo("--seconds", "2", "--rate", "50", "--no-failover", "--json");
  expect(await demo.exited).toEqual({ code: 0, signal: null });
  const result = resultSchema.parse(JSON.parse(output()[0] ?? ""));
  expect(result).toMatchObject({ ok: true, failover: null });
  expect(result.members.map(({ integrated }) => integrated.epoch)).toEqual([1, 1, 1]);
});

test("Ctrl-C stops every process of the demonstration and removes its directory", async () => {
  const { demo, temporary, output } = startDemo("--seconds", "600", "--rate", "50");
  await waitUntil(() => output().some((line) => /^ +2 s /.test(line)), { what: "second line", stalledAfterMs: 60_000 });
  expect(processesThatUse(temporary).length).toBeGreaterThanOrEqual(4 + 3 + 1);
  demo.kill("SIGINT");
  expect(await demo.exited).toEqual({ code: 130, signal: null });
  expect(readdirSync(temporary)).toEqual([]);
  expect(processesThatUse(temporary)).toEqual([]);
});

test("the demonstration fails and cleans up when one of its daemons dies", async () => {
  const { demo, temporary, output } = startDemo("--seconds", "600", "--rate", "50");
  await waitUntil(() => output().some((line) => /^ +2 s /.test(line)), { what: "second line", stalledAfterMs: 60_000 });
  const pid = daemonPid(temporary, "porto");
  process.kill(pid, "SIGKILL");
  expect(await demo.exited).toEqual({ code: 1, signal: null });
  expect(output().join("\n")).toMatch(/Something is wrong/);
  expect(readdirSync(temporary)).toEqual([]);
  expect(processesThatUse(temporary)).toEqual([]);
});

test("killed with SIGKILL, the demonstration leaves no process behind", async () => {
  const { demo, temporary, output } = startDemo("--seconds", "600", "--rate", "50");
  await waitUntil(() => output().some((line) => /^ +2 s /.test(line)), { what: "second line", stalledAfterMs: 60_000 });
  expect(processesThatUse(temporary).length).toBeGreaterThanOrEqual(4 + 3 + 1);
  demo.kill("SIGKILL");
  await demo.exited;
  await waitUntil(() => processesThatUse(temporary).length === 0, { what: "no process", stalledAfterMs: 20_000 });
  expect(readFileSync(daemonLog(temporary, "porto"), "utf8")).toContain('"msg":"stopped"');
});

function daemonLog(temporary: string, member: string): string {
  const [directory = ""] = readdirSync(temporary);
  return join(temporary, directory, member, "daemon.log");
}

function daemonPid(directory: string, member: string): number {
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      if (line.includes(directory) && line.includes(`--node ${member}`)) return Number(name);
    } catch {
      // It ended while we looked.
    }
  }
  throw new Error(`no daemon of ${member}`);
}
