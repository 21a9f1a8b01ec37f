/**
 * A member that belongs to an application: started, watched and ended by it.
 *
 * Guarantee: this process opens no file of a database. The member is a process of its own, because POSIX locks belong to a
 * process: with two copies of the SQLite library in one, a descriptor that one of them closes would drop the locks that the other
 * one holds, and the database could be damaged (sqlite.org/howtocorrupt.html, 2.2). A worker thread would be the same process.
 */
import { join, resolve } from "node:path";
import { selectMember } from "../config/configuration.ts";
import { loadConfiguration } from "../config/load-configuration.ts";
import { connectControl } from "../member/control-client.ts";
import type { RotationResult, SyncedMember, SyncOptions } from "../member/journal-results.ts";
import type { MemberControl } from "../member/member-control.ts";
import { notRunning } from "../member/member-error.ts";
import type { MemberEvent } from "../overseer/parent-messages.ts";
import type { MirrorSetStatus } from "../status/member-status.ts";
import { type DaemonExit, DaemonProcess } from "./daemon-process.ts";

const FIRST_RESTART_MS = 1_000;
const LAST_RESTART_MS = 30_000;
/** Usage or configuration, and what a safety check refused: another start would end in the same way. */
const FINAL_EXITS = new Set([2, 3]);

export interface MemberExit extends DaemonExit {
  /** Until it is started again, milliseconds; null when it is not, because it would end in the same way. */
  readonly restartInMs: number | null;
}

export interface StartOptions {
  /** The configuration. It is a file, because the commands of the runbook read it too. */
  readonly configFile: string;
  /** Which of its members this machine is. */
  readonly node: string;
  /** Called with everything that happens to the member, as `afterimage events` lists it. */
  readonly onEvent?: (event: MemberEvent) => void;
  /** Called with every line of the log, a JSON object; without it the log goes to this process's standard error. */
  readonly onLog?: (line: string) => void;
  /** Called when the member has ended without being asked to. */
  readonly onExit?: (exit: MemberExit) => void;
}

/** Calls throw an AfterimageError: MemberError NOT_RUNNING while the member is being started again, else what the daemon says. */
export interface RunningMember extends AsyncDisposable {
  readonly name: string;
  /** Of its process; null while it does not run. */
  readonly pid: number | null;
  /** Of the whole mirror set, as this member sees it. */
  status(): Promise<MirrorSetStatus>;
  /** Cuts what was committed into segments now; of all databases when none is named. */
  rotate(databases?: readonly string[]): Promise<RotationResult[]>;
  /** Resolves when mirrors have integrated everything that was committed before the call. @throws SYNC_TIMEOUT. */
  sync(options?: SyncOptions): Promise<SyncedMember[]>;
  /** Ends the member once it has finished what it has begun; twice is harmless. */
  stop(): Promise<void>;
}

/**
 * Starts a member in a process of its own, and resolves when it serves. After that it is started again whenever it ends, until
 * `stop` is called or this process ends.
 * @throws ConfigError with the faults of the file; DaemonError with the code of what the daemon failed with, such as LOCK_HELD
 *   when another one has the state directory.
 */
export async function startMember(options: StartOptions): Promise<RunningMember> {
  const configFile = resolve(options.configFile);
  const { state } = selectMember(loadConfiguration(configFile, { environment: process.env }), options.node);
  const member = new SupervisedMember({ ...options, configFile }, join(state, "control.sock"));
  await member.start();
  return member;
}

class SupervisedMember implements RunningMember {
  readonly name: string;
  readonly #options: StartOptions;
  readonly #socketPath: string;
  #daemon: DaemonProcess | null = null;
  #isStopped = false;
  #restart: NodeJS.Timeout | undefined;
  #restartMs = FIRST_RESTART_MS;

  constructor(options: StartOptions, socketPath: string) {
    this.name = options.node;
    this.#options = options;
    this.#socketPath = socketPath;
  }

  get pid(): number | null {
    return this.#daemon?.pid ?? null;
  }

  async start(): Promise<void> {
    const daemon = this.#launch();
    await daemon.serving();
    this.#watch(daemon);
  }

  #launch(): DaemonProcess {
    const { configFile, node, onEvent = () => {}, onLog = null } = this.#options;
    const daemon = new DaemonProcess({ configFile, node, onEvent, onLog });
    this.#daemon = daemon;
    return daemon;
  }

  #watch(daemon: DaemonProcess): void {
    void daemon.exited.then((exit) => {
      this.#daemon = null;
      if (this.#isStopped) return;
      const isFinal = exit.code !== null && FINAL_EXITS.has(exit.code);
      if (!isFinal) this.#restart = setTimeout(() => this.#startAgain(), this.#restartMs);
      this.#options.onExit?.({ ...exit, restartInMs: isFinal ? null : this.#restartMs });
      this.#restartMs = Math.min(this.#restartMs * 2, LAST_RESTART_MS);
    });
  }

  #startAgain(): void {
    const daemon = this.#launch();
    this.#watch(daemon);
    const served = () => {
      this.#restartMs = FIRST_RESTART_MS;
    };
    // What keeps it from serving is said when it has ended.
    daemon.serving().then(served, () => undefined);
  }

  async status(): Promise<MirrorSetStatus> {
    return await (await this.#control()).status();
  }

  async rotate(databases?: readonly string[]): Promise<RotationResult[]> {
    return await (await this.#control()).rotate(databases);
  }

  async sync(options: SyncOptions = {}): Promise<SyncedMember[]> {
    return await (await this.#control()).sync(options);
  }

  /** Only of the daemon that was started here: another one may listen at the same place. */
  async #control(): Promise<MemberControl> {
    const control = this.#daemon === null ? null : await connectControl(this.#socketPath);
    if (control === null) throw notRunning(this.name);
    return control;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#restart);
    await this.#daemon?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
