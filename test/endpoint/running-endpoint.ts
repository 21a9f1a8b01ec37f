/** Endpoints of a mailbox in a temporary directory, and clients of them. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import type { SFTPWrapper } from "ssh2";
import ssh2 from "ssh2";
import { onTestFinished } from "vitest";
import type { EndpointConfiguration } from "../../src/endpoint/doorman.ts";
import { type Endpoint, startEndpoint } from "../../src/endpoint/endpoint.ts";
import { type SftpMailbox, type SftpTimes, SftpTransport } from "../../src/transport/sftp-transport.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { generateKey, NO_SSH } from "../transport/ssh-server.ts";

/** The path of the mailbox as clients see it. */
export const MOUNTED_AT = "/srv/afterimage";

export interface RunningEndpoint extends Endpoint {
  /** The mailbox's directory. */
  readonly directory: string;
  /** Keys, state and what else lies beside the mailbox. */
  readonly root: string;
  readonly identity: string;
  /** A transport to the mailbox, closed at the end of the test. */
  open(overrides?: Partial<SftpMailbox>, times?: Partial<SftpTimes>): SftpTransport;
  /** A connection that may ask for anything. */
  connect(config?: ssh2.ConnectConfig): Promise<ssh2.Client>;
}

export async function runEndpoint(
  overrides: Partial<EndpointConfiguration> & { listen?: EndpointConfiguration["listen"] } = {},
): Promise<RunningEndpoint> {
  const root = temporaryDirectory();
  const directory = overrides.directory ?? join(root, "mailbox");
  mkdirSync(join(directory, "inbox"), { recursive: true });
  const identity = join(root, "identity");
  generateKey(identity);
  const listen = {
    address: "127.0.0.1",
    port: 0,
    hostKey: null,
    authorizedKeys: [readFileSync(`${identity}.pub`, "utf8")],
    authorizedKeysFile: null,
  };
  const logger = pino({ level: "silent" });
  const endpoint = await startEndpoint({ listen, mountedAt: MOUNTED_AT, state: root, logger, ...overrides, directory });
  onTestFinished(() => endpoint.close());
  const { port, fingerprint } = endpoint;
  const mailbox = {
    host: "127.0.0.1",
    port,
    user: "mirror",
    hostKey: fingerprint,
    path: MOUNTED_AT,
    bandwidth: null,
  };
  return {
    ...endpoint,
    directory,
    root,
    identity,
    open: (changes = {}, times = {}) => {
      const transport = new SftpTransport({ ...mailbox, ...changes }, { ...NO_SSH, identity }, times);
      onTestFinished(() => transport.close());
      return transport;
    },
    connect: (config = {}) =>
      connectClient({ host: "127.0.0.1", port, username: "mirror", privateKey: readFileSync(identity), ...config }),
  };
}

/** A connection that may ask for anything; it is destroyed at the end of the test. */
export async function connectClient(config: ssh2.ConnectConfig): Promise<ssh2.Client> {
  const client = new ssh2.Client();
  onTestFinished(() => {
    client.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    client.once("connect", () => client.setNoDelay(true));
    client.once("ready", resolve);
    client.once("error", reject);
    client.once("close", () => reject(new Error("closed")));
    client.connect(config);
  });
  client.on("error", () => undefined);
  return client;
}

export async function openSftp(client: ssh2.Client): Promise<SFTPWrapper> {
  return await new Promise((resolve, reject) => {
    client.sftp((error, sftp) => (error === undefined ? resolve(sftp) : reject(error)));
  });
}

/** The status code that answers a request; 0 when it was done. */
export async function statusOf(request: (done: (error?: Error | null) => void) => void): Promise<number> {
  return await new Promise((resolve) => {
    request((error) => {
      const code: unknown = error !== null && error !== undefined && "code" in error ? error.code : 0;
      resolve(typeof code === "number" ? code : -1);
    });
  });
}
