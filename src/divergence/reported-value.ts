/** A value of a database as a report shows it: exact, or, when it is long, its beginning with its length and hash. */
import { createHash } from "node:crypto";

const TEXT_CHARACTERS = 200;
const BLOB_BYTES = 64;

/** What SQLite's columns hold, with integers as bigint. */
export type SqliteValue = null | bigint | number | string | Buffer;

export interface ReportedValue {
  readonly type: "null" | "integer" | "real" | "text" | "blob";
  /** Numbers in decimal, text as it is, blobs in hexadecimal; empty for NULL. */
  readonly value: string;
  /** Of a value that is too long to show: `value` is its beginning. Text counts in UTF-8. */
  readonly whole?: { readonly bytes: number; readonly sha256: string };
}

export function reportedValue(value: SqliteValue): ReportedValue {
  if (value === null) return { type: "null", value: "" };
  if (typeof value === "bigint") return { type: "integer", value: String(value) };
  if (typeof value === "number") return { type: "real", value: realText(value) };
  if (typeof value === "string") {
    return value.length <= TEXT_CHARACTERS ? { type: "text", value } : { ...textStart(value), whole: wholeOf(value) };
  }
  const hex = value.toString("hex", 0, BLOB_BYTES);
  return value.length <= BLOB_BYTES
    ? { type: "blob", value: hex }
    : { type: "blob", value: hex, whole: wholeOf(value) };
}

export function sameValue(a: SqliteValue, b: SqliteValue): boolean {
  return Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : a === b;
}

/** Never the text of an integer: 1 and 1.0 are two values. */
function realText(value: number): string {
  const text = String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function textStart(value: string): ReportedValue {
  // Not between the halves of a surrogate pair.
  return { type: "text", value: value.slice(0, TEXT_CHARACTERS).replace(/[\ud800-\udbff]$/, "") };
}

function wholeOf(value: string | Buffer) {
  return { bytes: Buffer.byteLength(value), sha256: createHash("sha256").update(value).digest("hex") };
}
