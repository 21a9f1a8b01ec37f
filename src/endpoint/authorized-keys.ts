/** Who may log in: public keys as they stand in an `authorized_keys` file, one a line. */
import { readFileSync } from "node:fs";
import type { ParsedKey } from "ssh2";
import ssh2 from "ssh2";
import { messageOf } from "../errno.ts";
import { EndpointError } from "./endpoint-error.ts";

export interface AuthorizedKey {
  readonly key: ParsedKey;
  /** As the wire has it. */
  readonly bytes: Buffer;
}

export interface AuthorizedKeysSource {
  readonly authorizedKeys: readonly string[];
  readonly authorizedKeysFile: string | null;
}

/**
 * Reads all of them; the file anew at every call, so that a key that is removed from it ends at the next login.
 * @throws EndpointError AUTHORIZED_KEYS_INVALID.
 */
export function loadAuthorizedKeys({ authorizedKeys, authorizedKeysFile }: AuthorizedKeysSource): AuthorizedKey[] {
  const listed = authorizedKeys.flatMap((line, index) => parseLine(line, `authorizedKeys, entry ${index + 1}`));
  if (authorizedKeysFile === null) return listed;
  const lines = readKeysFile(authorizedKeysFile).split("\n");
  return [...listed, ...lines.flatMap((line, index) => parseLine(line, `${authorizedKeysFile}, line ${index + 1}`))];
}

function readKeysFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new EndpointError("AUTHORIZED_KEYS_INVALID", `the keys that may log in cannot be read: ${messageOf(error)}`, {
      path,
      hint: "Make the file that `listen: { authorizedKeysFile: ... }` names readable for the daemon.",
      cause: error,
    });
  }
}

/** Options before a key would be limits that nobody keeps here: such a line is refused as a whole. */
function parseLine(line: string, where: string): AuthorizedKey[] {
  const text = line.trim();
  if (text === "" || text.startsWith("#")) return [];
  const parsed = /^(?:ssh|ecdsa)-\S+ \S/.test(text)
    ? ssh2.utils.parseKey(text)
    : new Error("not `TYPE BASE64 COMMENT`");
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key instanceof Error || key === undefined || key.isPrivateKey()) {
    const reason = key instanceof Error ? key.message : "not a public key";
    throw new EndpointError("AUTHORIZED_KEYS_INVALID", `${where} is no public key that can be used: ${reason}`, {
      hint: "Copy the line of the member's .pub file as it is: options before the key are not supported.",
    });
  }
  return [{ key, bytes: key.getPublicSSH() }];
}
