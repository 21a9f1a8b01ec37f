import { parseTxid } from "../ltx/position.ts";
import { parseTime } from "./parse-time.ts";

/** Where integration stops, as the daemon takes it: 16 hexadecimal digits as they are, or a time in UTC; for commander. */
export function parseUntil(text: string): string {
  return parseTxid(text) === null ? new Date(parseTime(text)).toISOString() : text;
}
