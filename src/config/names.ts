/** What members, mirror sets and databases may be called. */
import { FOLLOWS_OPERATIONAL } from "./configuration.ts";

/** Of a member, and of a mirror set. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
const DATABASE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What is wrong with a member's name; null when nothing is. */
export function memberNameFault(name: string): string | null {
  if (!NAME.test(name)) return "a member's name is 1 to 32 letters, digits, _ and -, and begins with a letter or digit";
  return name.toLowerCase() === FOLLOWS_OPERATIONAL ? "this name would be ambiguous in `follows: operational`" : null;
}

/** What is wrong with a database's name, which is a directory name in every journal; null when nothing is. */
export function databaseNameFault(name: string): string | null {
  return DATABASE_NAME.test(name)
    ? null
    : "a database's name is 1 to 64 letters, digits, ., _ and -, and begins with a letter or digit";
}
