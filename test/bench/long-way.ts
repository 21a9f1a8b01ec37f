/** A long way to a port of this machine: every byte is under way for half a round trip, in either direction. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface LongWay extends AsyncDisposable {
  /** Where it begins. */
  readonly port: number;
}

export async function startLongWay(targetPort: number, roundTripMs: number): Promise<LongWay> {
  const open = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ host: "127.0.0.1", port: targetPort, noDelay: true });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      open.add(from);
      // Timers of one length end in the order in which they began.
      from.on("data", (bytes) => setTimeout(() => to.writable && to.write(bytes), roundTripMs / 2));
      from.on("error", () => undefined);
      from.on("close", () => {
        open.delete(from);
        setTimeout(() => to.destroy(), roundTripMs / 2);
      });
    }
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  if (typeof address !== "object" || address === null) throw new Error("the way has no port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      const closed = once(listener, "close");
      listener.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
