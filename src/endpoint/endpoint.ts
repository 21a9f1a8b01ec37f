/**
 * The SFTP server inside a member's daemon: the other members' way into its mailbox, without an account or an sshd.
 *
 * Guarantee: only holders of listed keys come in; they get one thing, SFTP in the mailbox as mailbox-access.ts limits
 * it; there is no shell, no command, no forwarding and no other subsystem. Strangers can hold neither many connections
 * nor any for long, and a client that is gone is noticed. What it does not do: tell one member from another: every listed key may
 * do the same.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { errnoOf, messageOf } from "../errno.ts";
import { loadAuthorizedKeys } from "./authorized-keys.ts";
import { Doorman, type EndpointConfiguration } from "./doorman.ts";
import { EndpointError } from "./endpoint-error.ts";
import { loadHostKey } from "./host-key.ts";

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  /** Of the host key, as `hostKey` in the configuration has it. */
  readonly fingerprint: string;
  /** Ends every connection; resolves when none is left. */
  close(): Promise<void>;
}

/** @throws EndpointError. */
export async function startEndpoint(configuration: EndpointConfiguration): Promise<Endpoint> {
  const { listen, state, logger } = configuration;
  // Read once before anybody comes, so that a fault is seen at the start.
  loadAuthorizedKeys(listen);
  const { key } = loadHostKey(listen.hostKey, state);
  const fingerprint = `SHA256:${createHash("sha256").update(key.getPublicSSH()).digest("base64").replace(/=+$/, "")}`;
  const doorman = new Doorman(configuration, key);
  const { server } = doorman;
  try {
    server.listen({ host: listen.address, port: listen.port });
    await once(server, "listening");
  } catch (error) {
    throw new EndpointError("LISTEN_FAILED", `cannot listen on ${listen.address}:${listen.port}: ${messageOf(error)}`, {
      hint:
        errnoOf(error) === "EADDRINUSE"
          ? "Another program has this port: choose another one in `listen`, and in the `mailbox` URL."
          : "Check `address` and `port` in `listen`.",
      cause: error,
    });
  }
  server.on("error", (error) => logger.error({ err: error }, "the endpoint cannot take connections"));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : listen.port;
  logger.info({ address: listen.address, port, fingerprint }, "the mailbox can be reached by SFTP");
  return { address: listen.address, port, fingerprint, close: () => doorman.close() };
}
