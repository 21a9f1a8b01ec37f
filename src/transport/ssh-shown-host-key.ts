/**
 * Which host key a server shows. Nobody logs in: neither a user name nor a key is sent, and the connection ends as soon as the
 * server has proved that the host key is its own.
 */
import { connect as connectSocket } from "node:net";
import ssh2 from "ssh2";
import { cannotConnect, isKeyTypeMissing } from "./ssh-connection.ts";
import { ALL_ALGORITHMS, type Algorithms, type HostKeySource, hostKeyRule } from "./ssh-host-key.ts";
import { TransportError } from "./transport-error.ts";

/** For a connection and its key. */
const TIMEOUT_MS = 10_000;

export interface ShownHostKey {
  /** As the wire has it. */
  readonly bytes: Buffer;
  /** Why a transport would refuse it; null when it is the pinned or listed one. */
  readonly fault: TransportError | null;
}

/**
 * Connects and looks at the host key: the one that is pinned or listed, if the server has it, else the one that it prefers.
 * @throws TransportError when there is no SSH server, or none that can be understood.
 */
export async function shownHostKey(source: HostKeySource, timeoutMs = TIMEOUT_MS): Promise<ShownHostKey> {
  const rule = hostKeyRule(source);
  let first: ShownHostKey | null = null;
  // A list that has only keys of one type must not hide that the server has one of another.
  for (const algorithms of new Set([...rule.attempts, ALL_ALGORITHMS])) {
    const bytes = await keyOf(source, algorithms, timeoutMs);
    if (bytes === null) continue;
    const fault = rule.fault(bytes);
    if (fault === null) return { bytes, fault };
    first ??= { bytes, fault };
  }
  if (first !== null) return first;
  throw new TransportError("TARGET_FAILED", `${source.host}:${source.port} has no host key that can be checked`, {
    hint: "Give that server an Ed25519, ECDSA or RSA host key.",
  });
}

/** The type that a key says it is of, such as `ssh-ed25519` (RFC 4253, section 6.6). */
export function typeOfHostKey(key: Buffer): string {
  return key.subarray(4, 4 + key.readUInt32BE(0)).toString("latin1");
}

/** Null when the server has no key for these algorithms. */
async function keyOf({ host, port }: HostKeySource, algorithms: Algorithms, timeoutMs: number): Promise<Buffer | null> {
  const socket = connectSocket({ host, port, noDelay: true });
  const client = new ssh2.Client();
  const shown: { key: Buffer | null } = { key: null };
  try {
    await new Promise<void>((resolve, reject) => {
      client.on("error", reject);
      client.on("close", () => reject(new Error("connection lost")));
      client.once("handshake", () => resolve());
      client.connect({
        sock: socket,
        // The library wants one; it would be sent with the first attempt to log in, and there is none.
        username: "nobody",
        authHandler: [],
        algorithms: { serverHostKey: [...algorithms] },
        readyTimeout: timeoutMs,
        hostVerifier: (key: Buffer) => {
          shown.key = key;
          return true;
        },
      });
    });
    return shown.key;
  } catch (error) {
    const refusal = cannotConnect(`${host}:${port}`, error);
    if (isKeyTypeMissing(refusal)) return null;
    throw refusal;
  } finally {
    socket.destroy();
  }
}
