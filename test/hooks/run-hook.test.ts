import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { runHook } from "../../src/hooks/run-hook.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { documentOf, optionsOf, program } from "./hook-program.ts";

const FAILED = { name: "HookError", code: "HOOK_FAILED" };

test("an event without a program is not a failure", async () => {
  expect(await runHook(documentOf("afterPromote"), optionsOf({}))).toEqual({ kind: "absent" });
});

test("a program gets the document on standard input, and the facts as argument and environment", async () => {
  const { path, directory } = program(
    'cat > "$dir/in"; echo "$# $1" > "$dir/args"; env | grep ^AFTERIMAGE_ > "$dir/env"',
  );
  const document = documentOf("afterPromote");
  expect(await runHook(document, optionsOf({ afterPromote: path }))).toEqual({ kind: "done" });
  expect(JSON.parse(readFileSync(join(directory, "in"), "utf8"))).toEqual(document);
  expect(readFileSync(join(directory, "args"), "utf8")).toBe("1 afterPromote\n");
  expect(readFileSync(join(directory, "env"), "utf8").trim().split("\n")).toEqual(
    expect.arrayContaining([
      "AFTERIMAGE_EVENT=afterPromote",
      "AFTERIMAGE_MIRROR=clinic",
      "AFTERIMAGE_MEMBER=porto",
      "AFTERIMAGE_ROLE=operational",
      "AFTERIMAGE_OLD_ROLE=mirror",
      "AFTERIMAGE_EPOCH=3",
      "AFTERIMAGE_OLD_EPOCH=1",
    ]),
  );
});

test("a program that does not read its input is no failure, however much there is", async () => {
  const { path } = program("exec <&-; exit 0");
  const document = { ...documentOf("diverged"), details: { text: "x".repeat(1_000_000) } };
  expect(await runHook(document, optionsOf({ diverged: path }))).toEqual({ kind: "done" });
});

test("what it writes is logged, without end only at its beginning", async () => {
  const { path } = program("echo moved; head -c 300000 /dev/zero | tr '\\0' x >&2");
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => lines.push(line) });
  await runHook(documentOf("afterPromote"), { ...optionsOf({ afterPromote: path }), logger });
  const outputs = lines.map((line) => JSON.parse(line).output).filter((output) => output !== undefined);
  expect(outputs).toEqual(["moved", `${"x".repeat(16_384)}\n(283616 more bytes)`]);
});

describe("only beforePromote may veto", () => {
  test("with 1 and its last line as the reason", async () => {
    const { path } = program("echo checking; echo 'the backup network is down' >&2; exit 1");
    const outcome = await runHook(documentOf("beforePromote"), optionsOf({ beforePromote: path }));
    expect(outcome).toEqual({ kind: "vetoed", reason: "the backup network is down" });
  });

  test.each([
    ["beforePromote", "exit 2", /ended with 2$/],
    ["beforeFence", "echo no; exit 1", /ended with 1: no$/],
    ["afterFence", "kill -9 $$", /was ended by SIGKILL$/],
  ] as const)("%s that does `%s` fails", async (event, body, message) => {
    const running = runHook(documentOf(event), optionsOf({ [event]: program(body).path }));
    await expect(running).rejects.toMatchObject({ ...FAILED, message: expect.stringMatching(message) });
  });
});

describe("a program that cannot be run fails with advice", () => {
  function file(contents: string, mode: number): string {
    const path = join(temporaryDirectory(), "hook");
    writeFileSync(path, contents, { mode });
    return path;
  }

  test.each([
    ["is missing", () => "/nowhere/hook", /is not there$/],
    ["is a directory", () => temporaryDirectory(), /is not a file$/],
    ["is not executable", () => file("#!/bin/sh\n", 0o644), /cannot be executed \(EACCES\)$/],
    ["names an interpreter that is missing", () => file("#!/nowhere/sh\n", 0o755), /cannot be started/],
  ])("one that %s", async (_, make, message) => {
    const running = runHook(documentOf("roleChanged"), optionsOf({ roleChanged: make() }));
    await expect(running).rejects.toMatchObject({
      ...FAILED,
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
  });
});

describe("processes", () => {
  test("that a program leaves behind with its pipes are not waited for, and live on", async () => {
    const { path, directory } = program('sleep 300 & echo $! > "$dir/pid"; echo done');
    expect(await runHook(documentOf("afterPromote"), optionsOf({ afterPromote: path }))).toEqual({ kind: "done" });
    const pid = Number(readFileSync(join(directory, "pid"), "utf8"));
    expect(process.kill(pid, 0)).toBe(true);
    process.kill(pid, "SIGKILL");
  });

  test("that ignore SIGTERM are killed with the program when its time is up", async ({ signal }) => {
    const { path, directory } = program(
      'trap \'\' TERM; sleep 300 & echo $! > "$dir/child"; echo $$ > "$dir/own"; while :; do sleep 1; done',
    );
    const options = { ...optionsOf({ timeLimitMs: 1500, afterFence: path }), killAfterMs: 100 };
    const running = runHook(documentOf("afterFence"), options);
    await expect(running).rejects.toMatchObject({ ...FAILED, message: expect.stringMatching(/not done after 1.5 s/) });
    for (const name of ["own", "child"]) await untilGone(Number(readFileSync(join(directory, name), "utf8")), signal);
  });

  test("are ended when the command is stopped", async ({ signal }) => {
    const { path, directory } = program('echo $$ > "$dir/part"; mv "$dir/part" "$dir/own"; exec sleep 300');
    const stop = new AbortController();
    const running = runHook(documentOf("afterFence"), { ...optionsOf({ afterFence: path }), stop: stop.signal });
    running.catch(() => {});
    while (!existsSync(join(directory, "own"))) await delay(10, undefined, { signal });
    stop.abort(new Error("interrupted"));
    await expect(running).rejects.toThrow("interrupted");
    await untilGone(Number(readFileSync(join(directory, "own"), "utf8")), signal);
  });
});

/** Killed processes whose parent is gone stay zombies where nobody reaps them. */
async function untilGone(pid: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    if (!existsSync(`/proc/${pid}`) || /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) return;
    await delay(10, undefined, { signal });
  }
}
