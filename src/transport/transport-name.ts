import { TransportError } from "./transport-error.ts";

const MAX_NAME_BYTES = 1024;
/** Common file systems' limit is 255; a temporary name adds up to 20. */
const MAX_PART_BYTES = 200;

/**
 * Splits a name into its parts: relative, at least one part, none empty, none that begins with a dot (which excludes `..` and
 * temporary names), no NUL or other control characters, no backslash.
 * @throws TransportError NAME_INVALID.
 */
export function splitName(name: string): [string, ...string[]] {
  const [first = "", ...rest] = name.split("/");
  if ([first, ...rest].some((part) => !isPart(part)) || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw new TransportError(
      "NAME_INVALID",
      `not a name for a file in a mailbox: ${JSON.stringify(name.slice(0, 200))}`,
      {
        hint: "Names are relative paths whose parts do not begin with a dot.",
      },
    );
  }
  return [first, ...rest];
}

/** As {@link splitName}, and `""` for the mailbox itself. */
export function splitDirectoryName(name: string): string[] {
  return name === "" ? [] : splitName(name);
}

function isPart(part: string): boolean {
  return part !== "" && !part.startsWith(".") && !/[\p{Cc}\\]/u.test(part) && Buffer.byteLength(part) <= MAX_PART_BYTES;
}
