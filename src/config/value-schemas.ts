/** Kinds of values that several sections of the file have. */
import { isAbsolute, normalize } from "node:path";
import { validateDetailed } from "node-cron";
import { z } from "zod";
import type { FaultCode } from "./config-error.ts";
import type { Schedule } from "./configuration.ts";
import { noted, noteOf } from "./key-notes.ts";
import { DURATION, parseDuration, parseSize } from "./quantities.ts";

/** What the value of an editor's JSON Schema may be instead of anything else: a variable, expanded when the file is read. */
const VARIABLE = "\\$\\{";

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
  const schema = parsedText("DURATION_INVALID", (text) => {
    const value = parseDuration(text);
    if (value === null) return `${JSON.stringify(text)} is not a duration: write 50ms, 2s, 15m, 72h or 14d`;
    return value < limits.min || value > limits.max ? `must be ${limits.range}` : { value };
  });
  const pattern = `${DURATION.source}|${VARIABLE}`;
  return noted(schema, { written: `duration, ${limits.range}`, json: { pattern } });
}

export function size(min: { bytes: number; text: string }) {
  const schema = z.union([z.string(), z.number().transform(String)]).pipe(
    parsedText("SIZE_INVALID", (text) => {
      const value = parseSize(text);
      if (value === null) return `${JSON.stringify(text)} is not a size: write 64MiB, 1GiB or a number of bytes`;
      return value < min.bytes ? `must be at least ${min.text}` : { value };
    }),
  );
  return noted(schema, { written: min.bytes > 1 ? `size, at least ${min.text}` : "size" });
}

/** An absolute path, after `~` was expanded; without a slash at the end. */
export function absolutePath(home: string) {
  const schema = parsedText("PATH_NOT_ABSOLUTE", (text) => {
    const path = normalize(text.replace(/^~(?=\/|$)/, () => home));
    if (text.includes("\0")) return "a path has no NUL character";
    if (!isAbsolute(path)) return `${JSON.stringify(text)} is not absolute: write the path from / on, or from ~/`;
    return { value: path === "/" ? path : path.replace(/\/+$/, "") };
  });
  return noted(schema, { written: "path" });
}

function cronFault(expression: string): string | null {
  const { valid, errors } = validateDetailed(expression);
  if (valid) return null;
  const reasons = errors.map(({ message }) => message);
  const reason = reasons.length === 0 ? "write 5 fields, or 6 with seconds first" : reasons.join(", ");
  return `${JSON.stringify(expression)} is not a cron expression: ${reason}`;
}

export const cron = noted(
  parsedText("CRON_INVALID", (text) => cronFault(text) ?? { value: text }),
  { written: "cron expression" },
);

export const schedule = noted(
  parsedText<Schedule>("CRON_INVALID", (text) => {
    if (text === "continuous") return { value: { kind: "continuous" } };
    const fault = cronFault(text);
    return fault === null ? { value: { kind: "cron", expression: text } } : `${fault}; or write continuous`;
  }),
  { written: "cron expression or `continuous`" },
);

/** `off` is null. */
export const scheduleOrOff = noted(
  parsedText<string | null>("CRON_INVALID", (text) => {
    if (text === "off") return { value: null };
    const fault = cronFault(text);
    return fault === null ? { value: text } : `${fault}; or write off`;
  }),
  { written: "cron expression or `off`" },
);

/** `${KEEP}` arrives as text. */
function wholeNumber<T extends z.ZodType>(schema: T, written: string) {
  const number = z.preprocess(
    (value) => (typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value),
    schema,
  );
  return noted(number, { written, json: { type: ["integer", "string"], pattern: VARIABLE } });
}

export const count = wholeNumber(z.int().min(1), "number, at least 1");
export const port = wholeNumber(z.int().min(0).max(65_535), "number");

/** `off` is null. */
export function orOff<T>(schema: z.ZodType<T>) {
  const either = z.unknown().transform((value, context): T | null => {
    if (value === "off") return null;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      const params: unknown = "params" in issue ? issue.params : undefined;
      const code = isRecord(params) ? params.code : "VALUE_INVALID";
      context.addIssue({ code: "custom", message: `${issue.message}; or write off`, params: { code } });
    }
    return z.NEVER;
  });
  const { written = "" } = noteOf(schema);
  return noted(either, { written: `${written} or \`off\``, json: { type: ["string", "number"] } });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
