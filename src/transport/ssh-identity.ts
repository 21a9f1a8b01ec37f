/** With what this member logs in: a private key file, or the SSH agent. */
import { readFile } from "node:fs/promises";
import type { ParsedKey } from "ssh2";
import ssh2 from "ssh2";
import type { SshConfiguration } from "../config/configuration.ts";
import { messageOf } from "../errno.ts";
import { TransportError } from "./transport-error.ts";

export type Identity =
  | { readonly kind: "key"; readonly key: ParsedKey; readonly path: string }
  | { readonly kind: "agent"; readonly socket: string };

/**
 * Reads the key anew at every call: one that is replaced is used from the next connection on.
 * @throws TransportError IDENTITY_UNUSABLE.
 */
export async function loadIdentity(ssh: SshConfiguration, environment: NodeJS.ProcessEnv): Promise<Identity> {
  if (ssh.identity === null) {
    const socket = environment.SSH_AUTH_SOCK ?? "";
    if (socket !== "") return { kind: "agent", socket };
    throw unusable("there is no private key to log in with", null, {
      hint: "Name one with `ssh: { identity: ... }`, or start an SSH agent and set SSH_AUTH_SOCK.",
    });
  }
  const path = ssh.identity;
  const text = await readOrThrow(path, "the private key cannot be read");
  const parsed = ssh2.utils.parseKey(text, await passphraseOf(ssh, environment));
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key instanceof Error || key === undefined) throw notParsed(path, key);
  if (key.isPrivateKey()) return { kind: "key", key, path };
  throw unusable("this is a public key", path, { hint: "Name the file without `.pub`." });
}

/** Undefined when none is configured. */
async function passphraseOf(ssh: SshConfiguration, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (ssh.passphraseFile !== null) {
    const text = await readOrThrow(ssh.passphraseFile, "the passphrase of the private key cannot be read");
    return text.toString("utf8").split(/\r?\n/, 1)[0];
  }
  if (ssh.passphraseVariable === null) return undefined;
  const passphrase = environment[ssh.passphraseVariable];
  if (passphrase !== undefined) return passphrase;
  throw unusable(`the environment has no ${ssh.passphraseVariable}, which holds the passphrase`, ssh.identity, {
    hint: "Set it where the daemon is started, or use `passphraseFile`.",
  });
}

async function readOrThrow(path: string, message: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw unusable(`${message}: ${messageOf(error)}`, path, {
      hint: "Give the user that Afterimage runs as permission to read it.",
      cause: error,
    });
  }
}

function notParsed(path: string, error: Error | undefined): TransportError {
  const text = error?.message ?? "no key in it";
  if (/passphrase|decrypt|bad key|integrity/i.test(text)) {
    return unusable(`the private key is encrypted and does not open: ${text}`, path, {
      hint: "Write its passphrase to a file (`ssh: { passphraseFile: ... }`), or name the variable that holds it.",
      cause: error,
    });
  }
  return unusable(`this is no private key that can be used: ${text}`, path, {
    hint: "Use a key in OpenSSH or PEM format: `ssh-keygen -t ed25519` makes one.",
    cause: error,
  });
}

function unusable(message: string, path: string | null, details: { hint: string; cause?: unknown }): TransportError {
  return new TransportError("IDENTITY_UNUSABLE", message, { ...details, ...(path === null ? {} : { path }) });
}
