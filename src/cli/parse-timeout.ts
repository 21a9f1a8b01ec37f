import { InvalidArgumentError } from "commander";
import { parseDuration } from "../config/quantities.ts";

/** Milliseconds of a flag. @throws InvalidArgumentError. */
export function parseTimeout(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === null) throw new InvalidArgumentError("It must be a duration such as 500ms, 30s or 2m.");
  return milliseconds;
}
