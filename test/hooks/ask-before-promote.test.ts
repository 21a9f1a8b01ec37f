import { expect, test } from "vitest";
import { askBeforePromote } from "../../src/hooks/ask-before-promote.ts";
import { documentOf, optionsOf, program } from "./hook-program.ts";

const DOCUMENT = documentOf("beforePromote");

test.each([
  ["ends with 1", "echo wait; exit 1", "wait"],
  ["ends with 1 and says nothing", "exit 1", "it said nothing"],
  ["fails", "echo broken; exit 2", "the hook beforePromote ended with 2: broken"],
  ["ends with 0", "exit 0", null],
])("a program that %s", async (_, body, reason) => {
  expect(await askBeforePromote(DOCUMENT, optionsOf({ beforePromote: program(body).path }))).toBe(reason);
});

test("without a program there is consent", async () => {
  expect(await askBeforePromote(DOCUMENT, optionsOf({}))).toBeNull();
});

test("a program that is stopped has said neither", async () => {
  const options = {
    ...optionsOf({ beforePromote: program("exit 0").path }),
    stop: AbortSignal.abort(new Error("stop")),
  };
  await expect(askBeforePromote(DOCUMENT, options)).rejects.toThrow("stop");
});
