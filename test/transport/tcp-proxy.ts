/** A wire between a client and a server that a test can cut, silence and measure. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

interface Wire {
  readonly client: Socket;
  readonly server: Socket;
}

export class TcpProxy {
  /** Connections that clients have made so far. */
  accepted = 0;
  /** Bytes from clients to the server so far. */
  sentBytes = 0;
  readonly port: number;
  readonly #wires: Set<Wire>;
  #cutAtBytes = Number.POSITIVE_INFINITY;
  #silent = false;
  #answerDelayMs = 0;

  private constructor(port: number, wires: Set<Wire>) {
    this.port = port;
    this.#wires = wires;
  }

  /** A proxy to a port of this machine, until the running test has finished. */
  static async start(targetPort: number): Promise<TcpProxy> {
    const wires = new Set<Wire>();
    const listener = createServer({ noDelay: true });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const address = listener.address();
    const proxy = new TcpProxy(typeof address === "object" ? (address?.port ?? 0) : 0, wires);
    listener.on("connection", (client) => proxy.#join(client, targetPort));
    onTestFinished(() => {
      listener.close();
      proxy.cut();
    });
    return proxy;
  }

  /** Connections that there are now. */
  get open(): number {
    return this.#wires.size;
  }

  /** Cuts every connection now. */
  cut(): void {
    for (const { client, server } of this.#wires) {
      client.destroy();
      server.destroy();
    }
  }

  /** Cuts the connection over which the byte of this number, counted from now, would go to the server. */
  cutAfter(bytes: number): void {
    this.#cutAtBytes = this.sentBytes + bytes;
  }

  /** How long the server's bytes are under way. */
  delayAnswers(milliseconds: number): void {
    this.#answerDelayMs = milliseconds;
  }

  /** From now on nothing goes either way on the connections that there are, and neither side is told. */
  silence(): void {
    this.#silent = true;
    for (const { client, server } of this.#wires) {
      client.pause();
      server.pause();
    }
  }

  /** New connections work again; what was silenced is as good as gone. */
  heal(): void {
    this.#silent = false;
  }

  #join(client: Socket, targetPort: number): void {
    this.accepted++;
    const server = connect({ host: "127.0.0.1", port: targetPort, noDelay: true });
    const wire = { client, server };
    this.#wires.add(wire);
    client.on("data", (bytes) => {
      const room = this.#cutAtBytes - this.sentBytes;
      this.sentBytes += bytes.length;
      if (bytes.length < room) {
        if (!server.write(bytes)) client.pause();
        return;
      }
      // What came before the cut does arrive.
      this.#cutAtBytes = Number.POSITIVE_INFINITY;
      client.destroy();
      server.end(bytes.subarray(0, room));
    });
    server.on("drain", () => this.#silent || client.resume());
    server.on("data", (bytes) => {
      if (this.#answerDelayMs === 0) client.write(bytes);
      else setTimeout(() => client.writable && client.write(bytes), this.#answerDelayMs);
    });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on("error", () => undefined);
      from.on("close", () => {
        to.destroy();
        this.#wires.delete(wire);
      });
    }
    if (this.#silent) {
      client.pause();
      server.pause();
    }
  }
}
