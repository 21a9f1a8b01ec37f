/** TCP connections of a process as the kernel counts them, by ss(8) of iproute2. */
import { execFileSync } from "node:child_process";

export interface Sockets {
  /** By local and remote address. */
  readonly connections: ReadonlyMap<string, { readonly sent: number; readonly received: number }>;
}

/** Established connections of the process, with the bytes so far. */
export function socketsOf(pid: number): Sockets {
  const text = execFileSync("ss", ["-tinpHO", "state", "established"], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const lines = text.split("\n").filter((line) => line.includes(`,pid=${pid},`));
  return { connections: new Map(lines.map(connectionOf)) };
}

function connectionOf(line: string): [string, { sent: number; received: number }] {
  const [, , local = "", remote = ""] = line.trim().split(/\s+/);
  const count = (field: string) => Number(new RegExp(`\\b${field}:(\\d+)`).exec(line)?.[1] ?? 0);
  return [`${local} ${remote}`, { sent: count("bytes_sent"), received: count("bytes_received") }];
}

/** Bytes over connections between two looks; what was sent over connections that were closed meanwhile is not known. */
export function bytesBetween(before: Sockets, after: Sockets): { sent: number; received: number } {
  let [sent, received] = [0, 0];
  for (const [key, now] of after.connections) {
    const then = before.connections.get(key);
    sent += now.sent - (then?.sent ?? 0);
    received += now.received - (then?.received ?? 0);
  }
  return { sent, received };
}
