/** The endpoint's own key, by which members know that they speak with this one. */
import { closeSync, fstatSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ParsedKey } from "ssh2";
import ssh2 from "ssh2";
import { fsyncDirectory, uniquePartPath } from "../durable-files.ts";
import { errnoOf, messageOf } from "../errno.ts";
import { EndpointError } from "./endpoint-error.ts";

const FILE_NAME = "ssh_host_ed25519_key";
const OTHERS = 0o077;
const KEY_ATTEMPTS = 20;

export interface EndpointHostKey {
  readonly key: ParsedKey;
  readonly path: string;
}

/** The file of the key: the configured one, or the one in the state directory. */
export function hostKeyPath(path: string | null, state: string): string {
  return path ?? join(state, FILE_NAME);
}

/**
 * Reads the key at `path`; without a path, the one in the state directory, which is made at the first start.
 * @throws EndpointError LISTEN_HOST_KEY.
 */
export function loadHostKey(path: string | null, state: string): EndpointHostKey {
  const file = hostKeyPath(path, state);
  try {
    if (path === null) makePrivateKey(file);
    return { key: readKey(file), path: file };
  } catch (error) {
    if (error instanceof EndpointError) throw error;
    throw unusable(file, `the host key cannot be used: ${messageOf(error)}`, error);
  }
}

function readKey(file: string): ParsedKey {
  const descriptor = openSync(file, "r");
  try {
    if ((fstatSync(descriptor).mode & OTHERS) !== 0) {
      throw new EndpointError("LISTEN_HOST_KEY", "other users may read the private host key", {
        path: file,
        hint: `Take the right away: chmod 600 ${file}. If somebody may have read it, remove it and pin the new one.`,
      });
    }
    const parsed = ssh2.utils.parseKey(readFileSync(descriptor));
    const key = Array.isArray(parsed) ? parsed[0] : parsed;
    if (key instanceof Error) throw key;
    if (key?.isPrivateKey() !== true) throw new Error("not a private key");
    return key;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Makes a private key, readable for this user alone, where there is no such file; returns whether it did. Link and not rename: of
 * two that start at once, one makes the key, and both use it.
 */
export function makePrivateKey(file: string): boolean {
  const part = uniquePartPath(file);
  const descriptor = openIfFirst(file, part);
  if (descriptor === null) return false;
  try {
    writeFileSync(descriptor, newPrivateKey());
    fsyncSync(descriptor);
    linkIfFree(part, file);
  } finally {
    closeSync(descriptor);
    rmSync(part, { force: true });
  }
  fsyncDirectory(dirname(file));
  return true;
}

/** About one key in 300 that ssh2 1.17 makes cannot be parsed by anybody (measured): such a one is made again. */
export function newPrivateKey(): string {
  for (let attempt = 0; attempt < KEY_ATTEMPTS; attempt++) {
    const { private: key } = ssh2.utils.generateKeyPairSync("ed25519", { comment: "afterimage" });
    if (!(ssh2.utils.parseKey(key) instanceof Error)) return key;
  }
  throw new Error(`no usable key came of ${KEY_ATTEMPTS} attempts`);
}

function openIfFirst(file: string, part: string): number | null {
  try {
    closeSync(openSync(file, "r"));
    return null;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    return openSync(part, "wx", 0o600);
  }
}

function linkIfFree(part: string, file: string): void {
  try {
    linkSync(part, file);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

function unusable(path: string, message: string, cause: unknown): EndpointError {
  const hint = "Use a key without a passphrase: `ssh-keygen -t ed25519 -N '' -f FILE` makes one.";
  return new EndpointError("LISTEN_HOST_KEY", message, { path, hint, cause });
}
