import { InvalidArgumentError } from "commander";

/** With a zone: a time without one would mean another on another machine. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/** Milliseconds since 1970 of a time with its zone, for commander. */
export function parseTime(text: string): number {
  const timeMs = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs)) throw new InvalidArgumentError("It must be a time with its zone: 2026-01-31T12:00:00Z.");
  return timeMs;
}
