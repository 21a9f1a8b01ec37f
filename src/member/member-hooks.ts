/**
 * The user's programs, run for what happens to this member.
 *
 * Guarantee: nothing waits for them but what promotes or hands over. They are run in the background, one at a time; one
 * that hangs delays other programs, and neither capture nor integration nor a fence.
 */
import type { HookEvent } from "../config/configuration.ts";
import { askBeforePromote } from "../hooks/ask-before-promote.ts";
import { type HookDocument, runHook } from "../hooks/run-hook.ts";
import { type OnceOutcome, runHookOnce } from "../hooks/run-hook-once.ts";
import type { HookOccasion } from "../journal/hook-ledger.ts";
import { knownEpoch, type RoleState } from "../roles/role-state.ts";
import { errorView } from "./error-view.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";
import type { MemberRoles } from "./member-roles.ts";
import { Serial } from "./serial.ts";

type Role = RoleState["role"];
type Details = Readonly<Record<string, unknown>>;
type Change = Partial<Pick<HookDocument, "role" | "epoch">>;

/** The others are passed through on the way to one of these. */
const SETTLED_ROLES = ["mirror", "operational", "deposed", "demoted"] as const satisfies readonly Role[];

export class MemberHooks {
  readonly #context: MemberContext;
  readonly #roles: MemberRoles;
  readonly #queue = new Serial();
  readonly #stop = new AbortController();
  /** What is to be run and has not begun; the same again adds nothing. */
  readonly #waiting = new Set<string>();
  /** By database, how many files no program has been told of yet, and the last of them. */
  readonly #refused = new Map<string, { readonly files: number; readonly last: Details }>();
  /** By event, the failure that was reported last: one that is repeated every minute is not. */
  readonly #failures = new Map<HookEvent, string>();

  constructor(context: MemberContext, roles: MemberRoles) {
    this.#context = context;
    this.#roles = roles;
  }

  /** A file was refused. Those that come while a program runs are told of together, with the last one's details. */
  quarantined(database: string, details: Details): void {
    const files = (this.#refused.get(database)?.files ?? 0) + 1;
    this.#refused.set(database, { files, last: details });
    this.#enqueue("quarantined", database, async () => {
      const refused = this.#refused.get(database) ?? { files, last: details };
      this.#refused.delete(database);
      return await this.#run(this.#document("quarantined", { database, files: refused.files, ...refused.last }));
    });
  }

  /** A copy holds what is in no later epoch: once for each epoch, whichever database it is found in first. */
  diverged(database: string, details: Details): void {
    this.#enqueue("diverged", database, () => this.#once("diverged", { database, ...details }));
  }

  /** Call before the databases of a member that was deposed are fenced, which does not wait. */
  fencing(): void {
    if (this.#roles.state.role !== "deposed") return;
    this.#enqueue("beforeFence", null, () => this.#once("beforeFence", {}, this.#deposition()));
  }

  /** Call when the databases are what the role demands, as often as one likes: what was told is not told again. */
  settled(): void {
    const { role } = this.#roles.state;
    if (role === "deposed") this.#enqueue("afterFence", null, () => this.#once("afterFence", {}, this.#deposition()));
    if (role === "demoted") this.#enqueue("afterFence", null, () => this.#once("afterFence", {}, this.#demotion()));
    if (role === "operational" && this.#hasTakenOver())
      this.#enqueue("afterPromote", null, () => this.#once("afterPromote", {}, this.#takeOver()));
    if (role === "operational" && this.#undone() !== null)
      this.#enqueue("afterPromote", null, () => this.#tellUndone());
    if (role === "mirror" && this.#hasHandedOver())
      this.#enqueue("afterFence", null, () => this.#once("afterFence", {}, this.#handOver()));
    if (this.#roleChange() !== null) this.#enqueue("roleChanged", null, () => this.#tellRole());
  }

  /**
   * Asks the hook beforePromote, and waits for its answer.
   * @param force go on without consent: the program is asked, so that it knows, and what it says is an event.
   * @throws MemberError PROMOTION_VETOED.
   */
  async askToPromote(epoch: number, force: boolean): Promise<void> {
    const document = this.#document("beforePromote", { force }, this.#promotion(epoch));
    const reason = await askBeforePromote(document, this.#options());
    if (reason === null) return;
    const message = `the hook beforePromote does not consent: ${reason}`;
    this.#context.event("warn", "PROMOTION_VETOED", null, message, { force });
    if (force) return;
    throw new MemberError("PROMOTION_VETOED", message, {
      hint: "Remove what it objects to. `afterimage promote` asks again; --force with the operational member's name does without.",
    });
  }

  /**
   * Runs the hook beforeFence before this member hands over, and waits for it.
   * @param epoch the one that `to` is to begin.
   * @throws HookError when it fails: then nothing is to be fenced.
   */
  async askToFence(epoch: number, to: string): Promise<void> {
    const { self, store, nowMs } = this.#context;
    if (self.hooks.beforeFence === undefined) return;
    const old = this.#roles.epoch;
    const change = { role: { old: "operational", new: "mirror" }, epoch: { old, new: epoch } } as const;
    // Before it runs: whatever it has done must be undone when the epoch does not begin.
    store.hooks.saveDone({ event: "beforeFence", role: "mirror", epoch }, nowMs());
    try {
      await this.#run(this.#document("beforeFence", { to }, change));
    } catch (error) {
      this.settled();
      throw error;
    }
  }

  /** Runs the hook beforeFence before this member gives its role up, and waits for it. @throws HookError: then it keeps the role. */
  async askToDemote(): Promise<void> {
    await this.#once("beforeFence", {}, this.#demotion());
  }

  /** @param epoch the one that was not begun. */
  promoteFailed(epoch: number, error: unknown): void {
    const { code, message } = errorView(error, this.#context.nowMs());
    this.#enqueue("promoteFailed", null, () => {
      const change = { role: { old: "mirror", new: "mirror" }, epoch: this.#promotion(epoch).epoch } as const;
      return this.#once("promoteFailed", { code, message }, change);
    });
  }

  /** Runs the hook alert, and waits for its end. @throws HookError when it fails: then it is to be told again. */
  async alert(details: Details): Promise<void> {
    await this.#queue.run(() => this.#run(this.#document("alert", details)));
  }

  /** Ends the program that is running, and runs no more: what was not done is done after the next start. */
  stop(): void {
    this.#stop.abort(new Error("the member is stopped"));
  }

  /** Resolves when nothing is running or waiting. */
  async idle(): Promise<void> {
    await this.#queue.idle();
  }

  #enqueue(event: HookEvent, database: string | null, run: () => Promise<OnceOutcome>): void {
    if (this.#context.self.hooks[event] === undefined) return;
    const key = `${event} ${database ?? ""}`;
    if (this.#waiting.has(key)) return;
    this.#waiting.add(key);
    void this.#queue.run(async () => {
      this.#waiting.delete(key);
      await this.#guarded(event, run);
    });
  }

  async #guarded(event: HookEvent, run: () => Promise<OnceOutcome>): Promise<void> {
    const { logger, nowMs } = this.#context;
    try {
      if (this.#stop.signal.aborted) return;
      await run();
      this.#failures.delete(event);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const { code, message } = errorView(error, nowMs());
      if (this.#failures.get(event) === message) return;
      try {
        this.#context.event("error", code, null, message, { event });
        this.#failures.set(event, message);
      } catch (cause) {
        // A full disk takes no report; the next failure is reported again.
        logger.error({ err: cause, event, message }, "the failure of a hook cannot be recorded");
      }
    }
  }

  async #run(document: HookDocument): Promise<OnceOutcome> {
    return await runHook(document, this.#options());
  }

  async #once(event: HookEvent, details: Details, change: Change = {}): Promise<OnceOutcome> {
    const { hooks } = this.#context.store;
    return await runHookOnce(hooks, this.#document(event, details, change), this.#options());
  }

  async #tellRole(): Promise<OnceOutcome> {
    const change = this.#roleChange();
    return change === null ? { kind: "done before" } : await this.#once("roleChanged", {}, change);
  }

  #options() {
    const { self, logger } = this.#context;
    return { hooks: self.hooks, logger, stop: this.#stop.signal };
  }

  #document(event: HookEvent, details: Details, change: Change = {}): HookDocument {
    const { configuration, self, nowMs } = this.#context;
    const { state } = this.#roles;
    const epoch = knownEpoch(state);
    const same = { role: { old: state.role, new: state.role }, epoch: { old: epoch, new: epoch } };
    const time = new Date(nowMs()).toISOString();
    return { event, mirror: configuration.mirror, member: self.name, time, ...same, ...change, details };
  }

  /** Null when the role is the one that was told last, or is only passed through. */
  #roleChange(): Required<Change> | null {
    const { state } = this.#roles;
    const last = this.#context.store.hooks.newest("roleChanged");
    const role = SETTLED_ROLES.find((each) => each === state.role);
    if (role === undefined || role === last?.role) return null;
    const old = SETTLED_ROLES.find((each) => each === last?.role) ?? null;
    return { role: { old, new: role }, epoch: { old: last?.epoch ?? null, new: knownEpoch(state) } };
  }

  #promotion(epoch: number): Required<Change> {
    const { state } = this.#roles;
    return { role: { old: state.role, new: "operational" }, epoch: { old: knownEpoch(state), new: epoch } };
  }

  #hasTakenOver(): boolean {
    const { current } = this.#roles.history;
    return current !== null && current.reason !== "initial";
  }

  #takeOver(): Required<Change> {
    const { epoch, history } = this.#roles;
    const old = history.epochs.at(-2)?.epoch ?? null;
    return { role: { old: "mirror", new: "operational" }, epoch: { old, new: epoch } };
  }

  /** The hand-over for which beforeFence was run, when its epoch has not begun; null when there is none. */
  #undone(): HookOccasion | null {
    const last = this.#context.store.hooks.newest("beforeFence");
    return last?.role === "mirror" && last.epoch > this.#roles.epoch ? { event: "beforeFence", ...last } : null;
  }

  /** What beforeFence has stopped is to be started again. */
  async #tellUndone(): Promise<OnceOutcome> {
    const undone = this.#undone();
    if (undone === null || this.#roles.state.role !== "operational") return { kind: "done before" };
    const outcome = await this.#run(this.#document("afterPromote", { undone: true }));
    this.#context.store.hooks.forget(undone);
    return outcome;
  }

  #hasHandedOver(): boolean {
    const [before, current] = this.#roles.history.epochs.slice(-2);
    return current?.reason === "switchover" && before?.member === this.#context.self.name;
  }

  #handOver(): Required<Change> {
    const { epoch, history } = this.#roles;
    const old = history.epochs.at(-2)?.epoch ?? null;
    return { role: { old: "operational", new: "mirror" }, epoch: { old, new: epoch } };
  }

  #demotion(): Required<Change> {
    const { epoch } = this.#roles;
    return { role: { old: "operational", new: "demoted" }, epoch: { old: epoch, new: epoch } };
  }

  #deposition(): Required<Change> {
    const { state } = this.#roles;
    return { role: { old: "operational", new: "deposed" }, epoch: { old: state.epoch, new: knownEpoch(state) } };
  }
}
