/** Decoders shared by the tables of the state database: what is read is checked, because a disk may return anything. */
import { type Checksum, type Position, parseChecksum, parsePosition, type Txid, toTxid } from "../ltx/position.ts";
import { StateError } from "./state-error.ts";

/** Integers come as bigint: the state database is read with safe integers, because TXIDs exceed 2^53. */
export function numberOrNull(value: bigint | null): number | null {
  return value === null ? null : Number(value);
}

export function decodeTxid(value: bigint): Txid {
  if (value < 0n) throw corrupt("a TXID", value);
  return toTxid(value);
}

export function decodeChecksum(text: string): Checksum {
  return parseChecksum(text) ?? fail("a checksum", text);
}

export function decodePosition(text: string | null): Position | null {
  return text === null ? null : (parsePosition(text) ?? fail("a position", text));
}

export function decodeJson(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    throw corrupt("JSON", text);
  }
}

export function encodeJson(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

export function corrupt(expected: string, found: unknown): StateError {
  return new StateError("STATE_CORRUPT", `the state database holds ${String(found)} where ${expected} belongs`, {
    hint: "Stop the member, put state.db aside, and rebuild this member from another one.",
  });
}

function fail(expected: string, found: unknown): never {
  throw corrupt(expected, found);
}
