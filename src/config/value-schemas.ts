/** Kinds of values that several sections of the file have. */
import { isAbsolute, normalize } from "node:path";
import { z } from "zod";
import type { FaultCode } from "./config-error.ts";
import { parseDuration, parseSize } from "./quantities.ts";

/** A text that `parse` understands; it returns the value, or says what is wrong. */
export function parsedText<T>(code: FaultCode, parse: (text: string) => { value: T } | string) {
  return z.string().transform((text, context): T => {
    const result = parse(text);
    if (typeof result !== "string") return result.value;
    context.addIssue({ code: "custom", message: result, params: { code } });
    return z.NEVER;
  });
}

export function duration(limits: { min: number; max: number; range: string }) {
  return parsedText("DURATION_INVALID", (text) => {
    const value = parseDuration(text);
    if (value === null) return `${JSON.stringify(text)} is not a duration: write 50ms, 2s, 15m, 72h or 14d`;
    return value < limits.min || value > limits.max ? `must be ${limits.range}` : { value };
  });
}

export function size(min: { bytes: number; text: string }) {
  return z.union([z.string(), z.number().transform(String)]).pipe(
    parsedText("SIZE_INVALID", (text) => {
      const value = parseSize(text);
      if (value === null) return `${JSON.stringify(text)} is not a size: write 64MiB, 1GiB or a number of bytes`;
      return value < min.bytes ? `must be at least ${min.text}` : { value };
    }),
  );
}

/** An absolute path, after `~` was expanded; without a slash at the end. */
export function absolutePath(home: string) {
  return parsedText("PATH_NOT_ABSOLUTE", (text) => {
    const path = normalize(text.replace(/^~(?=\/|$)/, () => home));
    if (text.includes("\0")) return "a path has no NUL character";
    if (!isAbsolute(path)) return `${JSON.stringify(text)} is not absolute: write the path from / on, or from ~/`;
    return { value: path === "/" ? path : path.replace(/\/+$/, "") };
  });
}

/** `${KEEP}` arrives as text. */
export function wholeNumber<T extends z.ZodType>(schema: T) {
  return z.preprocess(
    (value) => (typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value),
    schema,
  );
}

export const count = wholeNumber(z.int().min(1));
export const port = wholeNumber(z.int().min(0).max(65_535));
