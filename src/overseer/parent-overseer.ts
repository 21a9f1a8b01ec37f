import type { Overseer } from "./overseer.ts";
import type { ParentMessage } from "./parent-messages.ts";

/** Tells the program that has started this process over its channel. @param send of that channel. */
export function parentOverseer(send: (message: ParentMessage) => void): Overseer {
  return {
    ready: () => send({ told: "ready" }),
    reloading() {},
    stopping() {},
    heartbeat() {},
    event: ({ atMs, level, code, database, message, data = null }) =>
      send({ told: "event", event: { time: new Date(atMs).toISOString(), level, code, database, message, data } }),
  };
}
