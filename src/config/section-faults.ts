/** Turns what zod found in a section into faults with a place, a code and words for an operator. */
import type { z } from "zod";
import type { Fault, FaultCode } from "./config-error.ts";
import { nearestName } from "./nearest-name.ts";
import type { KeyPath, YamlSource } from "./yaml-source.ts";

type Issue = z.core.$ZodIssue;
type KeysAt = (path: KeyPath) => readonly string[];

const KINDS: Readonly<Record<string, string>> = {
  string: "text (in quotes, if it looks like a number)",
  number: "a number",
  int: "a whole number",
  object: "keys with values",
  record: "keys with values",
};

/** `at` is the path of the section; `keysAt` names the keys that are known at a path. */
export function sectionFaults(source: YamlSource, at: KeyPath, error: z.ZodError, keysAt: KeysAt): Fault[] {
  return error.issues.flatMap((issue) => issueFaults(source, [...at, ...issue.path.map(keyOf)], issue, keysAt));
}

function issueFaults(source: YamlSource, path: KeyPath, issue: Issue, keysAt: KeysAt): Fault[] {
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) =>
        source.faultAtKey([...path, key], "KEY_UNKNOWN", unknownKey([...path, key], keysAt)),
      );
    case "invalid_type":
      return [wrongType(source, path, issue.expected)];
    case "invalid_union":
      return [wrongType(source, path, "string")];
    case "invalid_value": {
      const values = issue.values.map(String);
      return [source.faultAt(path, "VALUE_INVALID", `must be one of ${values.join(", ")}`)];
    }
    case "too_small":
      return [source.faultAt(path, "VALUE_INVALID", `must be at least ${issue.minimum}`)];
    default:
      return [source.faultAt(path, customCode(issue), issue.message)];
  }
}

function wrongType(source: YamlSource, path: KeyPath, expected: string): Fault {
  const key = path.at(-1);
  if (key !== undefined && !source.has(path)) {
    return source.faultAtKey(path, "KEY_MISSING", `the key ${JSON.stringify(String(key))} is missing`);
  }
  return source.faultAt(path, "TYPE_WRONG", `must be ${KINDS[expected] ?? expected}`);
}

function unknownKey(path: KeyPath, keysAt: KeysAt): string {
  const key = String(path.at(-1));
  const known = keysAt(path.slice(0, -1));
  const nearest = nearestName(key, known);
  const isOfMember = path.length === 1 && keysAt(["members", "NAME"]).includes(key);
  const place = isOfMember
    ? "it belongs into a member's section, below members"
    : `the keys here are ${known.join(", ")}`;
  const rest = nearest === null ? place : `did you mean ${nearest}?`;
  return `there is no key ${JSON.stringify(key)}; ${rest}`;
}

function customCode(issue: Issue): FaultCode {
  if (issue.code !== "custom") return "VALUE_INVALID";
  const code: unknown = issue.params?.code;
  return isCustomCode(code) ? code : "VALUE_INVALID";
}

const CUSTOM_CODES = [
  "DURATION_INVALID",
  "SIZE_INVALID",
  "CRON_INVALID",
  "MAILBOX_INVALID",
  "HOST_KEY_INVALID",
  "PATH_NOT_ABSOLUTE",
  "PATH_TOO_LONG",
] as const satisfies readonly FaultCode[];

function isCustomCode(code: unknown): code is (typeof CUSTOM_CODES)[number] {
  return CUSTOM_CODES.some((known) => known === code);
}

function keyOf(key: PropertyKey): string | number {
  return typeof key === "symbol" ? key.toString() : key;
}
