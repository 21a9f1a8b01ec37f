/**
 * Who has started a daemon and wants to know how it is: a service manager, or a program with a channel to it. What it is told
 * never delays or fails the work that it is told about.
 */
import type { NewEvent } from "../journal/event-log.ts";
import type { MemberStatus } from "../status/member-status.ts";

export interface Overseer {
  /** The daemon serves: commands reach it, and all its work has been started. Also after a reload. */
  ready(): void;
  /** The configuration is read again; `ready` follows, whatever became of it. */
  reloading(): void;
  /** It has begun to end. */
  stopping(): void;
  /** It has published this status: at every change, and every two seconds as a sign of life. */
  heartbeat(status: MemberStatus): void;
  event(event: NewEvent): void;
}

/** Nobody wants to know. */
export const NO_OVERSEER: Overseer = {
  ready() {},
  reloading() {},
  stopping() {},
  heartbeat() {},
  event() {},
};
