/**
 * Which host keys a server may show. There is no rule that accepts any key: an unknown one ends the connection before
 * anything is sent, with an error that says the key's fingerprint.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ServerHostKeyAlgorithm } from "ssh2";
import { errnoOf, messageOf } from "../errno.ts";
import { knownKeysOf } from "./ssh-known-hosts.ts";
import { TransportError } from "./transport-error.ts";

export type Algorithms = readonly ServerHostKeyAlgorithm[];

/** What a server may be asked to show, by the type of the key. SHA-1 signatures are not among them. */
const ALGORITHMS: Readonly<Record<string, Algorithms>> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"],
};
export const ALL_ALGORITHMS: Algorithms = Object.values(ALGORITHMS).flat();

export interface HostKeyRule {
  /**
   * What to ask the server for, one connection after another: a server has several keys, shows one of them, and a
   * fingerprint does not say which type of key it is of.
   */
  readonly attempts: readonly Algorithms[];
  /** What is wrong with a key, as the wire has it; null when it is the server's. */
  fault(key: Buffer): TransportError | null;
}

/** `SHA256:` and 43 characters, as `ssh-keygen -l` prints it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

export interface HostKeySource {
  readonly host: string;
  readonly port: number;
  /** The pinned fingerprint; it alone counts when there is one. */
  readonly hostKey: string | null;
  readonly knownHosts: string | null;
}

/** @throws TransportError HOST_KEY_UNKNOWN when the list of known hosts cannot be read. */
export function hostKeyRule(source: HostKeySource): HostKeyRule {
  return source.hostKey === null ? listedRule(source) : pinnedRule(source, source.hostKey);
}

function pinnedRule(source: HostKeySource, pinned: string): HostKeyRule {
  return {
    attempts: [ALL_ALGORITHMS, ...Object.values(ALGORITHMS)],
    fault: (key) => (fingerprintOf(key) === pinned ? null : changed(source, key, `${pinned} is pinned`)),
  };
}

function listedRule(source: HostKeySource): HostKeyRule {
  const { knownHosts } = source;
  const list = knownHosts === null ? "" : readList(knownHosts);
  const { trusted, revoked } = knownKeysOf(list, source.host, source.port);
  const algorithms = trusted.flatMap(({ type }) => ALGORITHMS[type] ?? []);
  return {
    attempts: [algorithms.length === 0 ? ALL_ALGORITHMS : algorithms],
    fault: (key) => {
      if (revoked.some(({ bytes }) => bytes.equals(key))) return changed(source, key, "this key is marked @revoked");
      if (trusted.some(({ bytes }) => bytes.equals(key))) return null;
      return trusted.length === 0
        ? unknown(source, key)
        : changed(source, key, `another key is listed in ${knownHosts}`);
    },
  };
}

function readList(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // OpenSSH has no list before the first host is in it.
    if (errnoOf(error) === "ENOENT") return "";
    const hint = "Make the file that `ssh: { knownHosts: ... }` names readable, or pin the member's `hostKey`.";
    const message = `the list of known hosts cannot be read: ${messageOf(error)}`;
    throw new TransportError("HOST_KEY_UNKNOWN", message, { path, hint, cause: error });
  }
}

function unknown({ host, port }: HostKeySource, key: Buffer): TransportError {
  const fingerprint = fingerprintOf(key);
  return new TransportError(
    "HOST_KEY_UNKNOWN",
    `${host}:${port} shows the host key ${fingerprint}, which is not known`,
    {
      hint:
        "Compare it with what `ssh-keygen -lf` prints for the key file on that machine itself; if they are equal, " +
        `write hostKey: ${fingerprint} for this member.`,
    },
  );
}

function changed({ host, port }: HostKeySource, key: Buffer, expected: string): TransportError {
  const message = `${host}:${port} shows the host key ${fingerprintOf(key)}, but ${expected}`;
  return new TransportError("HOST_KEY_CHANGED", message, {
    hint:
      "Nothing was sent. Somebody may be posing as this machine; if it was installed anew, compare the fingerprint on " +
      "the machine itself, and then pin the new one.",
  });
}
