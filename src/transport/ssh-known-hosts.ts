/** OpenSSH's lists of host keys, as sshd(8) describes them under "SSH_KNOWN_HOSTS FILE FORMAT". */
import { createHmac, timingSafeEqual } from "node:crypto";

/** A key as it goes over the wire, and its type, such as `ssh-ed25519`. */
export interface HostKey {
  readonly type: string;
  readonly bytes: Buffer;
}

export interface KnownKeys {
  readonly trusted: readonly HostKey[];
  /** Keys that must never be accepted again. */
  readonly revoked: readonly HostKey[];
}

const DEFAULT_PORT = 22;

/** The keys that a list has for a host. Lines that cannot be read, and those of certificate authorities, are passed over. */
export function knownKeysOf(list: string, host: string, port: number): KnownKeys {
  const trusted: HostKey[] = [];
  const revoked: HostKey[] = [];
  const name = port === DEFAULT_PORT ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
  for (const line of list.split("\n")) {
    const fields = line.trim().split(/\s+/);
    const marker = fields[0]?.startsWith("@") ? fields.shift() : null;
    const [patterns = "", type = "", base64 = ""] = fields;
    if (patterns === "" || patterns.startsWith("#") || base64 === "" || !matchesHost(patterns, name)) continue;
    const key = { type, bytes: Buffer.from(base64, "base64") };
    if (marker === "@revoked") revoked.push(key);
    else if (marker === null) trusted.push(key);
  }
  return { trusted, revoked };
}

function matchesHost(patterns: string, name: string): boolean {
  if (patterns.startsWith("|")) return matchesHash(patterns, name);
  let matched = false;
  for (const pattern of patterns.split(",")) {
    if (pattern.startsWith("!") && matchesPattern(pattern.slice(1), name)) return false;
    matched ||= matchesPattern(pattern, name);
  }
  return matched;
}

/** `|1|salt|hash`: the names in the list are hidden. */
function matchesHash(field: string, name: string): boolean {
  const [, version, salt = "", hash = ""] = field.split("|");
  if (version !== "1") return false;
  const expected = Buffer.from(hash, "base64");
  const actual = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function matchesPattern(pattern: string, name: string): boolean {
  const source = pattern
    .toLowerCase()
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`).test(name);
}
