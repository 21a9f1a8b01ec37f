/** Programs for hooks, and what they are told. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import type { HookConfiguration, HookEvent } from "../../src/config/configuration.ts";
import type { HookDocument, HookOptions } from "../../src/hooks/run-hook.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Writes an executable shell script; `$dir` in it is the directory that it lies in. */
export function program(body: string): { readonly path: string; readonly directory: string } {
  const directory = temporaryDirectory();
  const path = join(directory, "hook");
  writeFileSync(path, `#!/bin/sh\ndir='${directory}'\n${body}\n`, { mode: 0o755 });
  return { path, directory };
}

export function documentOf(event: HookEvent): HookDocument {
  return {
    event,
    mirror: "clinic",
    member: "porto",
    time: "2026-03-02T03:14:15.926Z",
    role: { old: "mirror", new: "operational" },
    epoch: { old: 1, new: 3 },
    details: { reason: "test" },
  };
}

export function optionsOf(hooks: Partial<HookConfiguration>): HookOptions {
  return { hooks: { timeLimitMs: 30_000, ...hooks }, logger: pino({ level: "silent" }) };
}
