/**
 * The daemon: its units, made to fit what databases there are and what the configuration says, now and after a reload.
 *
 * A unit that fails for a reason that no duty has caught ends the service: better a daemon that its supervisor starts
 * again than one that runs with a part missing.
 */
import { join } from "node:path";
import type { Configuration } from "../config/configuration.ts";
import { changedKeys, keysForRestart } from "../config/configuration-changes.ts";
import { startControlServer } from "./control-server.ts";
import { errorView } from "./error-view.ts";
import { publishStatus } from "./jobs/heartbeat.ts";
import type { Member } from "./member.ts";
import type { ReloadResult } from "./member-control.ts";
import { MemberError } from "./member-error.ts";
import type { MemberPlan } from "./member-plan.ts";
import { cutIfDemoted, fenceIfDeposed, serveIfClaimed } from "./role-change.ts";
import { Serial } from "./serial.ts";
import { Signal } from "./signal.ts";
import { assertAlone, confirmReign } from "./start-check.ts";
import { type Unit, UnitSupervisor } from "./unit-supervisor.ts";
import { ENDPOINT, unitsOf } from "./units.ts";

/** Databases that come and go say so; this is only for the signal that was missed. */
const LONGEST_WAIT_MS = 60_000;
/** A database that could not be fenced, or made writable, is tried again. */
const ROLE_RETRY_MS = 5_000;

/** Serves until `stop` is aborted; everything that was begun is finished or undone when this resolves. */
export async function serve(member: Member, stop: AbortSignal): Promise<void> {
  const { self, logger } = member.context;
  const service = new Service(member, stop);
  await assertAlone(member);
  member.daemonRun.begin();
  const control = await startControlServer(join(self.state, "control.sock"), member);
  member.running = true;
  logger.info({ member: self.name, role: member.role, epoch: member.roles.epoch }, "serving");
  try {
    await service.run();
  } finally {
    member.running = false;
    member.hooks.stop();
    await control.close();
    publishStatus(member);
    logger.info({ member: self.name }, "stopped");
  }
}

class Service {
  readonly #member: Member;
  readonly #stop: AbortSignal;
  readonly #halt = new AbortController();
  readonly #supervisor: UnitSupervisor;
  /** A plan is made and carried out before the next one is made. */
  readonly #serial = new Serial();
  readonly #listening = new Signal();
  #atStart = true;
  /** Whether the databases are what the role demands. */
  #isRoleDone = true;

  constructor(member: Member, stop: AbortSignal) {
    this.#member = member;
    this.#stop = stop;
    this.#supervisor = new UnitSupervisor((_name, error) => this.#fail(error));
  }

  /** Throws what a unit failed with. */
  async run(): Promise<void> {
    const until = AbortSignal.any([this.#stop, this.#halt.signal]);
    const { overseer } = this.#member.context;
    const carryOut = () => this.#serial.run(() => this.#carryOut()).catch((error: unknown) => this.#fail(error));
    this.#member.reloader = () => this.#serial.run(() => this.#reload());
    try {
      await carryOut();
      if (!until.aborted) overseer.ready();
      while (!until.aborted) {
        await this.#member.planOutdated.wait(this.#isRoleDone ? LONGEST_WAIT_MS : ROLE_RETRY_MS, until);
        if (!until.aborted) await carryOut();
      }
    } finally {
      overseer.stopping();
      this.#member.reloader = null;
      await this.#serial.idle();
      await this.#supervisor.stop();
    }
    if (!this.#stop.aborted) throw this.#halt.signal.reason;
  }

  #fail(error: unknown): void {
    if (!this.#halt.signal.aborted) this.#halt.abort(error);
  }

  /** Makes units and duties those of the configuration and of the databases that there are now. */
  async #carryOut(configuration?: Configuration): Promise<void> {
    const member = this.#member;
    if (this.#atStart) {
      await this.#listenFirst(this.#unitsOf(member.plan(configuration)));
      await confirmReign(member);
    }
    member.hooks.fencing();
    const isFenced = await fenceIfDeposed(member);
    const plan = member.plan(configuration);
    const units = this.#unitsOf(plan);
    this.#atStart = false;
    let isServed = true;
    await this.#supervisor.reconcile(units, async () => {
      await member.take(plan);
      isServed = await serveIfClaimed(member);
    });
    const isCut = !isFenced || (await cutIfDemoted(member));
    this.#isRoleDone = isFenced && isServed && isCut;
    if (this.#isRoleDone) member.hooks.settled();
  }

  #unitsOf(plan: MemberPlan): Map<string, Unit> {
    return unitsOf(this.#member, plan, {
      atStart: this.#atStart,
      onDatabases: () => this.#member.planOutdated.set(),
      onListening: () => this.#listening.set(),
    });
  }

  /** Nobody is to be told that this member serves before it can be reached. */
  async #listenFirst(units: ReadonlyMap<string, Unit>): Promise<void> {
    const endpoint = units.get(ENDPOINT);
    if (endpoint === undefined) return;
    await this.#supervisor.reconcile(new Map([[ENDPOINT, endpoint]]));
    const until = AbortSignal.any([this.#stop, this.#halt.signal]);
    await this.#listening.wait(LONGEST_WAIT_MS, until);
    this.#halt.signal.throwIfAborted();
  }

  async #reload(): Promise<ReloadResult> {
    const { overseer } = this.#member.context;
    overseer.reloading();
    try {
      return await this.#applyAgain();
    } finally {
      overseer.ready();
    }
  }

  async #applyAgain(): Promise<ReloadResult> {
    const { context } = this.#member;
    const before = context.configuration;
    const { after, changed } = this.#readAgain(before);
    if (changed.length === 0) return { changed };
    try {
      await this.#carryOut(after);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    const message = `the configuration was read again: ${changed.join(", ")}`;
    context.event("info", "CONFIGURATION_RELOADED", null, message, { changed });
    return { changed };
  }

  /** @throws ConfigError, MemberError RELOAD_NEEDS_RESTART, each of them an event: what there was goes on. */
  #readAgain(before: Configuration): { after: Configuration; changed: string[] } {
    const { context } = this.#member;
    try {
      const after = this.#member.readConfiguration();
      const changed = changedKeys(before, after);
      const fixed = keysForRestart(changed, after, context.self.name);
      if (fixed.length === 0) return { after, changed };
      throw new MemberError(
        "RELOAD_NEEDS_RESTART",
        `nothing was applied: ${fixed.join(", ")} cannot change in a running daemon`,
        {
          path: after.path,
          hint: "Restart the daemon, or undo these changes and reload again.",
        },
      );
    } catch (error) {
      const { code, message } = errorView(error, context.nowMs());
      const isFault = code !== "RELOAD_NEEDS_RESTART";
      context.event("error", isFault ? "RELOAD_FAILED" : code, null, `the former configuration goes on: ${message}`, {
        error: code,
      });
      throw error;
    }
  }
}
