/** Who comes in: connections, logins and channels of the endpoint, and the limits on each. See endpoint.ts. */
import { once } from "node:events";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import type { Logger } from "pino";
import type { AuthContext, Connection, ParsedKey, ServerChannel, Session } from "ssh2";
import ssh2 from "ssh2";
import type { ListenConfiguration } from "../config/configuration.ts";
import { loadAuthorizedKeys } from "./authorized-keys.ts";
import { MailboxFiles } from "./mailbox-files.ts";
import { serveSftp } from "./serve-sftp.ts";

export interface EndpointLimits {
  /** Connections that have not logged in yet. */
  readonly strangers: number;
  /** Connections that have. */
  readonly members: number;
  /** New connections from one address in a minute. */
  readonly connectionsPerMinute: number;
  /** How long a connection may take to log in, and a member to notice that it is to go. */
  readonly loginMs: number;
  readonly loginAttempts: number;
  /** SFTP channels of one connection. */
  readonly channels: number;
  /** Open files and listings of one channel. */
  readonly handles: number;
  readonly fileBytes: number;
  /** This much of the mailbox's file system is left free. */
  readonly reservedBytes: number;
}

const LIMITS: EndpointLimits = {
  strangers: 16,
  members: 128,
  connectionsPerMinute: 120,
  loginMs: 20_000,
  loginAttempts: 6,
  channels: 4,
  handles: 64,
  fileBytes: 2 ** 40,
  reservedBytes: 64 * 1024 * 1024,
};

const KEEP_ALIVE_MS = 20_000;
const KEEP_ALIVES = 3;
const MINUTE_MS = 60_000;
/** How long a client may take to end a connection that the endpoint ends. */
const END_TIMEOUT_MS = 1_000;

export interface EndpointConfiguration {
  readonly listen: ListenConfiguration;
  /** The mailbox's directory. */
  readonly directory: string;
  /** The path under which clients see it: that of the `mailbox` URL. */
  readonly mountedAt: string;
  /** Where a host key is kept that was made here. */
  readonly state: string;
  readonly logger: Logger;
  readonly limits?: Partial<EndpointLimits>;
}

/** Takes connections, lets members log in, and gives them SFTP. */
export class Doorman {
  readonly server: NetServer;
  readonly #configuration: EndpointConfiguration;
  readonly #limits: EndpointLimits;
  readonly #ssh: InstanceType<typeof ssh2.Server>;
  readonly #files: MailboxFiles;
  readonly #strangers = new Set<Socket>();
  readonly #members = new Set<Socket>();
  /** The socket that is being handed to the SSH server, which does not say whose connection it reports. */
  readonly #socketOf = new Map<string, Socket>();
  #arrivals = new Map<string, number>();
  #minuteBeganMs = 0;

  constructor(configuration: EndpointConfiguration, hostKey: ParsedKey) {
    const limits = { ...LIMITS, ...configuration.limits };
    this.#configuration = configuration;
    this.#limits = limits;
    this.#files = new MailboxFiles({ ...configuration, reservedBytes: limits.reservedBytes });
    this.#ssh = new ssh2.Server(
      {
        hostKeys: [{ key: hostKey }],
        ident: "Afterimage",
        keepaliveInterval: KEEP_ALIVE_MS,
        keepaliveCountMax: KEEP_ALIVES,
        // What a stranger may make the daemon decompress is better nothing.
        algorithms: { compress: ["none"] },
      },
      (connection, { ip, port }) => this.#greet(connection, addressOf(ip, port)),
    );
    this.server = createServer({ noDelay: true }, (socket) => this.#arrive(socket));
  }

  async close(): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    const sockets = [...this.#strangers, ...this.#members];
    for (const socket of sockets) socket.end();
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, END_TIMEOUT_MS);
    await closed;
    clearTimeout(timer);
  }

  #arrive(socket: Socket): void {
    const address = addressOf(socket.remoteAddress, socket.remotePort);
    socket.on("error", (error) => this.#configuration.logger.debug({ err: error, address }, "a connection broke"));
    if (this.#strangers.size >= this.#limits.strangers || !this.#isWelcome(socket.remoteAddress ?? "")) {
      this.#configuration.logger.warn({ address }, "too many connections, so this one is refused");
      socket.destroy();
      return;
    }
    this.#strangers.add(socket);
    this.#socketOf.set(address, socket);
    const timer = setTimeout(() => {
      if (this.#strangers.has(socket)) socket.destroy();
    }, this.#limits.loginMs);
    socket.once("close", () => {
      clearTimeout(timer);
      this.#strangers.delete(socket);
      this.#members.delete(socket);
      this.#socketOf.delete(address);
    });
    this.#ssh.injectSocket(socket);
  }

  #isWelcome(ip: string): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#minuteBeganMs > MINUTE_MS) {
      this.#minuteBeganMs = nowMs;
      this.#arrivals = new Map();
    }
    const count = (this.#arrivals.get(ip) ?? 0) + 1;
    this.#arrivals.set(ip, count);
    return count <= this.#limits.connectionsPerMinute;
  }

  #greet(connection: Connection, address: string): void {
    const { logger } = this.#configuration;
    const socket = this.#socketOf.get(address);
    let attempts = 0;
    connection.on("error", (error: Error) => logger.debug({ err: error, address }, "an SSH connection broke"));
    connection.on("authentication", (context) => {
      if (++attempts > this.#limits.loginAttempts) {
        socket?.destroy();
        return;
      }
      if (this.#isMember(context, address)) context.accept();
      else context.reject(["publickey"]);
    });
    connection.on("ready", () => {
      if (socket === undefined || this.#members.size >= this.#limits.members) {
        logger.warn({ address }, "too many members are connected, so this one is refused");
        socket?.destroy();
        return;
      }
      this.#strangers.delete(socket);
      this.#members.add(socket);
    });
    let channels = 0;
    connection.on("session", (accept, reject) => {
      if (channels >= this.#limits.channels) {
        reject();
        return;
      }
      channels++;
      const session = accept();
      session.on("close", () => {
        channels--;
      });
      this.#offerSftp(session, address);
    });
  }

  #isMember(context: AuthContext, address: string): boolean {
    if (context.method !== "publickey") return false;
    const { logger, listen } = this.#configuration;
    try {
      const known = loadAuthorizedKeys(listen).find(({ bytes }) => bytes.equals(context.key.data));
      // A client asks first whether a key would do, without a signature.
      if (known === undefined || context.signature === undefined || context.blob === undefined)
        return known !== undefined;
      if (context.hashAlgo === "sha1") return false;
      return known.key.verify(context.blob, context.signature, context.hashAlgo) === true;
    } catch (error) {
      logger.error({ err: error, address }, "nobody can log in");
      return false;
    }
  }

  #offerSftp(session: Session, address: string): void {
    const { logger } = this.#configuration;
    // Without a listener for `sftp`, the library hands over the channel itself: its own SFTP server cannot offer extensions.
    session.on("subsystem", (accept, reject, { name }) => {
      if (name !== "sftp") {
        reject();
        return;
      }
      const channel: ServerChannel = accept();
      serveSftp(channel, this.#files, this.#limits).catch((error: unknown) => {
        logger.warn({ err: error, address }, "an SFTP channel was ended");
      });
    });
  }
}

function addressOf(ip: string | undefined, port: number | undefined): string {
  return `${ip}:${port}`;
}
