import { once } from "node:events";
import { createServer, type Server } from "node:net";

/**
 * TCP ports of the loopback address that nobody listens on, all different. The system chose them; nothing keeps another
 * program from taking one before it is used.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const server = createServer().listen(0, "127.0.0.1");
      servers.push(server);
      await once(server, "listening");
    }
    return servers.map(portOf);
  } finally {
    await Promise.all(servers.map(closed));
  }
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the server does not listen on a port");
  return address.port;
}

async function closed(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
