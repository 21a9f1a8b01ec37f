/**
 * Tells systemd, or another service manager that speaks sd_notify(3), how the daemon is.
 *
 * The sign of life for its watchdog comes with the heartbeat, which also publishes the status document: a process that stands
 * still, or that no longer gets to its heartbeat, is noticed and started again. What stands still within a living daemon is
 * an error in its status, and no reason to end the rest of it.
 */

import { messageOf } from "../errno.ts";
import type { MemberStatus } from "../status/member-status.ts";
import type { SendNotice, WhenFull } from "./notify-socket.ts";
import type { Overseer } from "./overseer.ts";

/** systemd expects a sign of life within its limit, and advises to send two; four leave room for a late one. */
const SIGNS_PER_LIMIT = 4;

export interface SystemdOptions {
  readonly send: SendNotice;
  /** Microseconds within which the manager expects a sign of life; null when it expects none. */
  readonly watchdogUs: number | null;
  /** Takes what went wrong with telling, once for each reason. */
  readonly onFault: (message: string) => void;
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly clockNs?: () => bigint;
}

export class SystemdOverseer implements Overseer {
  readonly #options: SystemdOptions;
  readonly #clockNs: () => bigint;
  #status = "";
  #toldAtNs: bigint | null = null;
  #fault = "";

  constructor(options: SystemdOptions) {
    this.#options = options;
    this.#clockNs = options.clockNs ?? process.hrtime.bigint;
  }

  ready(): void {
    this.#tell(["READY=1"], "wait");
  }

  reloading(): void {
    this.#tell(["RELOADING=1", `MONOTONIC_USEC=${this.#clockNs() / 1000n}`], "wait");
  }

  stopping(): void {
    this.#tell(["STOPPING=1"], "wait");
  }

  heartbeat(status: MemberStatus): void {
    const text = statusText(status);
    const isChanged = text !== this.#status;
    const isDue = this.#isWatchdogDue();
    if (!isChanged && !isDue) return;
    this.#status = text;
    if (isDue) this.#toldAtNs = this.#clockNs();
    this.#tell([...(isChanged ? [`STATUS=${text}`] : []), ...(isDue ? ["WATCHDOG=1"] : [])], "leave-out");
  }

  event(): void {}

  #isWatchdogDue(): boolean {
    const { watchdogUs } = this.#options;
    if (watchdogUs === null) return false;
    if (this.#toldAtNs === null) return true;
    return Number((this.#clockNs() - this.#toldAtNs) / 1000n) >= watchdogUs / SIGNS_PER_LIMIT;
  }

  #tell(assignments: readonly string[], whenFull: WhenFull): void {
    try {
      this.#options.send(assignments.join("\n"), whenFull);
    } catch (error) {
      const fault = messageOf(error);
      if (fault !== this.#fault) this.#options.onFault(fault);
      this.#fault = fault;
    }
  }
}

/** One line for `systemctl status`. */
export function statusText({ role, epoch, state, databases, errors }: MemberStatus): string {
  const all = Object.values(databases);
  const faults = [
    ...errors.map(({ code }) => code),
    ...all.flatMap(({ error }) => (error === null ? [] : [error.code])),
  ];
  const count = `${all.length} database${all.length === 1 ? "" : "s"}`;
  const wrong = faults.length === 0 ? "" : `; ${[...new Set(faults)].join(", ")}`;
  return `${role}${role === state ? "" : `, ${state}`}, epoch ${epoch}, ${count}${wrong}`;
}

/**
 * What NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say, which are taken out of the environment: programs that this process
 * starts are none of the manager's. Null when no manager listens.
 */
export function takeNotifyEnvironment(
  environment: NodeJS.ProcessEnv,
  processId = process.pid,
): { readonly address: string; readonly watchdogUs: number | null } | null {
  const { NOTIFY_SOCKET: address, WATCHDOG_USEC: limit, WATCHDOG_PID: watched } = environment;
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete environment[name];
  if (address === undefined || address === "") return null;
  const watchdogUs = Number(limit);
  const isWatched = Number.isSafeInteger(watchdogUs) && watchdogUs > 0;
  const isOurs = watched === undefined || watched === String(processId);
  return { address, watchdogUs: isWatched && isOurs ? watchdogUs : null };
}
