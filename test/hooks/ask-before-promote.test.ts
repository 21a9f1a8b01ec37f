import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { askBeforePromote } from "../../src/hooks/ask-before-promote.ts";
import { documentOf, optionsOf, program } from "./hook-program.ts";

const DOCUMENT = documentOf("beforePromote");
/** Says `wait 1`, fails, and consents the third time; keeps count of it. */
const HESITANT = 'echo x >> "$dir/asked"; n=$(wc -l < "$dir/asked"); [ $n -ge 3 ] || { echo "wait $n"; exit $n; }';

function ask(body: string) {
  const { path, directory } = program(body);
  const stop = new AbortController();
  const refusals: [string, boolean][] = [];
  const options = {
    ...optionsOf({ beforePromote: path }),
    stop: stop.signal,
    force: false,
    askAgainMs: 1,
    onRefusal: (reason: string, again: boolean) => void refusals.push([reason, again]),
  };
  return {
    options,
    refusals,
    stop,
    asked: () => readFileSync(join(directory, "asked"), "utf8").split("\n").length - 1,
  };
}

test("it is asked again, whether it vetoed or failed, until it consents", async () => {
  const { options, refusals, asked } = ask(HESITANT);
  expect(await askBeforePromote(DOCUMENT, options)).toBe(true);
  expect(refusals).toEqual([
    ["wait 1", true],
    ["the hook beforePromote ended with 2: wait 2", true],
  ]);
  expect(asked()).toBe(3);
});

test("with force it is asked once, and what it said is passed on", async () => {
  const { options, refusals, asked } = ask(HESITANT);
  expect(await askBeforePromote(DOCUMENT, { ...options, force: true })).toBe(false);
  expect(refusals).toEqual([["wait 1", false]]);
  expect(asked()).toBe(1);
});

test("without a program there is consent", async () => {
  const { options } = ask("exit 1");
  expect(await askBeforePromote(DOCUMENT, { ...options, hooks: { timeLimitMs: 1000 } })).toBe(true);
});

test("a command that is stopped while it waits does not go on", async () => {
  const { options, stop, refusals } = ask("echo never; exit 1");
  const asking = askBeforePromote(DOCUMENT, {
    ...options,
    askAgainMs: 3_600_000,
    onRefusal: (reason, again) => {
      options.onRefusal(reason, again);
      stop.abort(new Error("interrupted"));
    },
  });
  await expect(asking).rejects.toThrow("interrupted");
  expect(refusals).toEqual([["never", true]]);
});
