import type { Logger } from "pino";
import { messageOf } from "../errno.ts";
import { NO_OVERSEER, type Overseer } from "../overseer/overseer.ts";
import { parentOverseer } from "../overseer/parent-overseer.ts";
import { SystemdOverseer, takeNotifyEnvironment } from "../overseer/systemd-overseer.ts";

/** Who is to be told how this daemon is: the program at the other end of the channel, if it asks for that, else the service manager that listens, else nobody. */
export async function openOverseer(tellParent: boolean, logger: Logger): Promise<Overseer> {
  const notify = takeNotifyEnvironment(process.env);
  // With a function that takes the error it is not thrown: what has become of the parent is what `disconnect` says.
  if (tellParent) return parentOverseer((message) => process.send?.(message, undefined, undefined, () => undefined));
  if (notify === null) return NO_OVERSEER;
  const onFault = (message: string) => logger.warn({ reason: message }, "the service manager cannot be told");
  try {
    const { notifySocket } = await import("../overseer/notify-socket.ts");
    return new SystemdOverseer({ send: notifySocket(notify.address), watchdogUs: notify.watchdogUs, onFault });
  } catch (error) {
    onFault(messageOf(error));
    return NO_OVERSEER;
  }
}
