/**
 * One SSH connection with one SFTP channel: made, watched and ended.
 *
 * Guarantee: nothing is sent before the server has shown the host key that it should have. A connection that is gone, or
 * whose other side says nothing for three keep-alives, is told to whoever waits for an answer, with the reason.
 */
import { connect as connectSocket, type Socket } from "node:net";
import type { AgentAuthMethod, ConnectConfig, PublicKeyAuthMethod, SFTPWrapper } from "ssh2";
import SftpClient from "ssh2-sftp-client";
import type { SshConfiguration } from "../config/configuration.ts";
import { errnoOf, messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import { type HostKeyRule, hostKeyRule } from "./ssh-host-key.ts";
import { type Identity, loadIdentity } from "./ssh-identity.ts";
import { TransportError, type TransportErrorCode } from "./transport-error.ts";

export interface SshTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Pinned fingerprint; null for the list of known hosts. */
  readonly hostKey: string | null;
}

export interface SshTimes {
  /** From the first packet to an open SFTP channel. */
  readonly connectTimeoutMs: number;
  /** Three keep-alives without any answer end the connection. */
  readonly keepAliveMs: number;
}

const KEEP_ALIVES = 3;
/** How long a server may take to end a connection that we ended. */
const END_TIMEOUT_MS = 1_000;

interface Parts {
  readonly client: SftpClient;
  readonly socket: Socket;
  readonly sftp: SFTPWrapper;
  /** The other side, for messages. */
  readonly name: string;
}

export class SshConnection {
  readonly sftp: SFTPWrapper;
  readonly #client: SftpClient;
  /** The library's own destroy() does nothing once it has begun to end a connection. */
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #failure: TransportError | null = null;

  /** @param onFailure called once, when the connection is gone, for whatever reason. */
  constructor({ client, socket, sftp, name }: Parts, onFailure: (failure: TransportError) => void) {
    this.#client = client;
    this.#socket = socket;
    this.sftp = sftp;
    let reason: Error | null = null;
    const fail = () => {
      if (this.#failure !== null) return;
      this.#failure = lost(name, reason);
      onFailure(this.#failure);
    };
    client.on("error", (error) => {
      reason ??= error;
    });
    sftp.on("error", (error: Error) => {
      reason ??= error;
      socket.destroy();
    });
    // Either may come without the other: the server may end the channel alone.
    sftp.on("end", () => client.client.end());
    sftp.on("close", fail);
    this.#closed = new Promise((resolve) => {
      client.on("close", () => {
        fail();
        resolve();
      });
    });
  }

  /** Ends it as the protocol wants it, or after a second in any case. */
  async end(): Promise<void> {
    if (this.#failure !== null) return;
    this.#client.client.end();
    const timer = setTimeout(() => this.destroy(), END_TIMEOUT_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** @throws TransportError for every way in which a connection may not come about. */
export async function connect(
  target: SshTarget,
  ssh: SshConfiguration,
  times: SshTimes,
  onFailure: (failure: TransportError) => void,
): Promise<SshConnection> {
  const identity = await loadIdentity(ssh, process.env);
  const rule = hostKeyRule({ ...target, knownHosts: ssh.knownHosts });
  let refusal: TransportError | null = null;
  for (const algorithms of rule.attempts) {
    try {
      const serverHostKey = [...algorithms];
      return await attempt({ target, identity, rule, serverHostKey, times, onFailure });
    } catch (error) {
      const wrongKey = error instanceof TransportError && error.code === "HOST_KEY_CHANGED";
      if (!wrongKey && (refusal === null || !isKeyTypeMissing(error))) throw error;
      if (wrongKey) refusal ??= error;
    }
  }
  throw refusal ?? new TransportError("TARGET_FAILED", `${nameOf(target)}: no host key that can be checked`);
}

interface Attempt {
  readonly target: SshTarget;
  readonly identity: Identity;
  readonly rule: HostKeyRule;
  readonly serverHostKey: NonNullable<NonNullable<ConnectConfig["algorithms"]>["serverHostKey"]>;
  readonly times: SshTimes;
  readonly onFailure: (failure: TransportError) => void;
}

async function attempt(options: Attempt): Promise<SshConnection> {
  const { target, identity, rule, serverHostKey, times, onFailure } = options;
  const name = nameOf(target);
  const client = new SftpClient(name, { error: () => {}, end: () => {}, close: () => {} });
  const seen: { keyFault: TransportError | null; error: Error | null } = { keyFault: null, error: null };
  client.on("error", (error) => {
    seen.error ??= error;
  });
  // Without no-delay every small request waits for the acknowledgement of the one before: 220 ms instead of 1.4 ms.
  const socket = connectSocket({ host: target.host, port: target.port, noDelay: true });
  const config: ConnectConfig = {
    sock: socket,
    username: target.user,
    authHandler: [authMethod(identity, target.user)],
    algorithms: { serverHostKey },
    readyTimeout: times.connectTimeoutMs,
    keepaliveInterval: times.keepAliveMs,
    keepaliveCountMax: KEEP_ALIVES,
    hostVerifier: (key: Buffer) => {
      seen.keyFault = rule.fault(key);
      return seen.keyFault === null;
    },
  };
  // The library's own time limit ends with the login; the channel is opened after it.
  const timer = setTimeout(() => {
    seen.error ??= Object.assign(new Error("no SFTP channel in time"), { level: "client-timeout" });
    socket.destroy();
  }, times.connectTimeoutMs);
  try {
    const sftp = await client.connect(config);
    return new SshConnection({ client, socket, sftp, name }, onFailure);
  } catch (error) {
    socket.destroy();
    throw seen.keyFault ?? connectError(seen.error ?? error, target, identity, error);
  } finally {
    clearTimeout(timer);
  }
}

function authMethod(identity: Identity, username: string): PublicKeyAuthMethod | AgentAuthMethod {
  return identity.kind === "key"
    ? { type: "publickey", username, key: identity.key }
    : { type: "agent", username, agent: identity.socket };
}

/** Whether the server has no host key of the types that it was asked for. */
export function isKeyTypeMissing(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Error && /host key format/.test(error.cause.message);
}

function nameOf({ user, host, port }: SshTarget): string {
  return `${user}@${host}:${port}`;
}

const NETWORK_CODES: Readonly<Record<string, TransportErrorCode>> = {
  ENOTFOUND: "HOST_UNKNOWN",
  EAI_AGAIN: "HOST_UNKNOWN",
  EAI_FAIL: "HOST_UNKNOWN",
  ECONNREFUSED: "CONNECTION_REFUSED",
  ECONNRESET: "CONNECTION_LOST",
  EPIPE: "CONNECTION_LOST",
  ETIMEDOUT: "TIMED_OUT",
};

const HINTS: Partial<Record<TransportErrorCode, string>> = {
  HOST_UNKNOWN: "Check the host in the member's `mailbox`, and this machine's name server.",
  CONNECTION_REFUSED:
    "Start the SSH server there (or that member's daemon, if it has `listen`), and check the port; it is tried again.",
  CONNECTION_LOST:
    "It is tried again. If it goes on, look into the SSH server's log: limits such as MaxStartups end connections.",
  TIMED_OUT: "Check that the machine runs and that no firewall drops the packets; it is tried again.",
  UNREACHABLE: "Check the network between the two machines; it is tried again.",
};

function connectError(error: unknown, target: SshTarget, identity: Identity, cause: unknown): TransportError {
  if (cause instanceof TransportError) return cause;
  const level = levelOf(error);
  const refused = level === "client-authentication" || level === "agent";
  return refused ? loginRefused(nameOf(target), identity, error) : cannotConnect(nameOf(target), error);
}

/** Why there is no connection to `name`, from what the library or the system says. */
export function cannotConnect(name: string, error: unknown): TransportError {
  const timedOut = levelOf(error) === "client-timeout";
  const code = timedOut ? "TIMED_OUT" : (NETWORK_CODES[errnoOf(error) ?? ""] ?? connectCode(error));
  return new TransportError(code, `cannot connect to ${name}: ${messageOf(error)}`, {
    hint: hintOf(code),
    cause: error,
  });
}

/** The library's word for the part of it that failed. */
function levelOf(error: unknown): unknown {
  return error instanceof Error && "level" in error ? error.level : null;
}

/** Of what has no code: connections that ended too early, and servers that speak another language. */
function connectCode(error: unknown): TransportErrorCode {
  if (errnoOf(error)?.startsWith("E") && error instanceof Error && "syscall" in error) return "UNREACHABLE";
  return /lost|unexpected (?:end|close)|no response/i.test(messageOf(error)) ? "CONNECTION_LOST" : "TARGET_FAILED";
}

function hintOf(code: TransportErrorCode): string {
  return HINTS[code] ?? "Look into the SSH server's log: it must offer SFTP to this user.";
}

function loginRefused(name: string, identity: Identity, cause: unknown): TransportError {
  const isKey = identity.kind === "key";
  const key = isKey ? `the key ${identity.path}` : `any key of the agent ${identity.socket}`;
  const text = isKey ? `the text of ${identity.path}.pub` : "the public key";
  return new TransportError("LOGIN_REFUSED", `${name} does not accept ${key}`, {
    hint:
      "On that machine let it in: `afterimage init --node ITS_NAME --authorize 'THIS_NAME=KEY'`, where KEY is " +
      `${text}, and then the \`install.sh\` that it names, if any; or add it to that account's authorized_keys ` +
      "(or to `listen: { authorizedKeys: ... }` of that member). Check the user in the `mailbox` URL, too.",
    cause,
  });
}

function lost(name: string, reason: Error | null): TransportError {
  const silent = levelOf(reason) === "client-timeout";
  const code = silent ? "TIMED_OUT" : "CONNECTION_LOST";
  const text = reason === null ? "the server ended it" : reason.message;
  return new TransportError(code, `the connection to ${name} is gone: ${text}`, { hint: hintOf(code), cause: reason });
}

/** The connection was given up because an answer did not come. */
export function unanswered(step: string): TransportError {
  const message = `${step}: the server did not answer in time`;
  return new TransportError("TIMED_OUT", message, { hint: hintOf("TIMED_OUT") });
}

export function isConnectionError(error: unknown): boolean {
  return error instanceof AfterimageError && (error.code === "CONNECTION_LOST" || error.code === "TIMED_OUT");
}
