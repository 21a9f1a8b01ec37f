/**
 * A member: one state directory, its databases, and what it does for them in its role.
 *
 * Guarantee: a state directory has one member at a time, be it a daemon or a command; the kernel frees its lock with it.
 */
import { join } from "node:path";
import { type Configuration, type MemberConfiguration, selectMember } from "../config/configuration.ts";
import { configuredPath } from "../config/database-pattern.ts";
import { makeDirectory, makePrivateDirectory } from "../durable-files.ts";
import { ProcessLock } from "../journal/process-lock.ts";
import { StateStore } from "../journal/state-store.ts";
import { MemberMetrics } from "../metrics/member-metrics.ts";
import { NO_OVERSEER } from "../overseer/overseer.ts";
import { knownEpoch } from "../roles/role-state.ts";
import type { ErrorView, FollowerStatus, MemberRole, MemberStatus } from "../status/member-status.ts";
import { alertFacts } from "./alert-facts.ts";
import { clearJournal } from "./clear-journal.ts";
import { DatabaseNotes } from "./database-notes.ts";
import { DeepVerification } from "./deep-verification.ts";
import { type DemoteOptions, type DemoteResult, demote } from "./demotion.ts";
import { dutyFacts } from "./duty-facts.ts";
import { IdentityWatch } from "./identity-watch.ts";
import { removeEmptyInbox } from "./inbox-directory.ts";
import { IntegrationControl } from "./integration-control.ts";
import { KnownMembers } from "./known-members.ts";
import { type Live, liveContext } from "./live-context.ts";
import { MemberAlerts } from "./member-alerts.ts";
import { MemberCommands } from "./member-commands.ts";
import type { MemberContext } from "./member-context.ts";
import type {
  CancelOptions,
  CancelResult,
  PromoteOptions,
  PromoteResult,
  RejoinOptions,
  RejoinResult,
  ReloadResult,
  SwitchoverOptions,
  SwitchoverResult,
} from "./member-control.ts";
import { MemberHooks } from "./member-hooks.ts";
import type { MemberOptions } from "./member-options.ts";
import {
  connectionFingerprint,
  followersOf,
  type MemberPlan,
  sameDatabases,
  shipperFingerprint,
  upstreamOf,
} from "./member-plan.ts";
import { MemberRoles } from "./member-roles.ts";
import { MemberRun } from "./member-run.ts";
import { MirrorDatabases } from "./mirror-databases.ts";
import { MirrorDuty } from "./mirror-duty.ts";
import { OfferTaker } from "./offer-taker.ts";
import { OperationalDatabases } from "./operational-databases.ts";
import { OperationalDuty } from "./operational-duty.ts";
import type { Peer } from "./peer.ts";
import { promote } from "./promotion.ts";
import { PurgeDuty } from "./purge-duty.ts";
import { rejoin } from "./rejoin.ts";
import { letGo } from "./role-change.ts";
import { RunbookSteps, type StepListener } from "./runbook-steps.ts";
import { Serial } from "./serial.ts";
import { serve } from "./service.ts";
import { type FollowerServices, Shipper } from "./shipper.ts";
import { Signal } from "./signal.ts";
import { Staleness } from "./staleness.ts";
import { buildStatus } from "./status-builder.ts";
import { Switchover } from "./switchover.ts";
import { type ValidateResult, validate } from "./validation.ts";
import { Watchdog } from "./watchdog.ts";
import { watchedWork } from "./watched-work.ts";

export class Member extends MemberCommands implements AsyncDisposable {
  override readonly context: MemberContext;
  override readonly roles: MemberRoles;
  readonly hooks: MemberHooks;
  /** Of this member's role to another one. */
  readonly handover = new Switchover(this);
  /** Of another member's role to this one. */
  readonly offers = new OfferTaker(this);
  /** Of the daemon that serves this member. */
  readonly daemonRun: MemberRun;
  readonly identity: IdentityWatch;
  readonly known: KnownMembers;
  /** The member that is asked for what it has received and this one has not. */
  collecting: string | null = null;
  /** By database, what keeps the end of its rejoin from being reported; it is tried again. */
  readonly rejoinFaults = new Map<string, ErrorView>();
  override readonly operational = new Map<string, OperationalDuty>();
  override readonly mirrors = new Map<string, MirrorDuty>();
  override readonly shippers = new Map<string, Shipper>();
  override readonly purgeDuty: PurgeDuty;
  override readonly integration: IntegrationControl;
  override readonly deep: DeepVerification;
  readonly watchdog: Watchdog;
  readonly alerts: MemberAlerts;
  readonly metrics: MemberMetrics;
  /** Set when status has changed. */
  readonly statusChanged = new Signal();
  override running = false;
  /** Set when what this member should be doing may be something else now. */
  readonly planOutdated = new Signal();
  /** Set when databases may have come or gone, so that they are looked for before their time. */
  readonly databasesMoved = new Signal();
  /** Reads the configuration again and applies it; null when no daemon serves this member. */
  reloader: (() => Promise<ReloadResult>) | null = null;
  readonly #options: MemberOptions;
  readonly #live: Live;
  readonly #notes: DatabaseNotes;
  readonly #found: OperationalDatabases;
  readonly #followed: MirrorDatabases;
  readonly #lock: ProcessLock;
  readonly #staleness = new Staleness();
  readonly #rejoins = new Serial();
  #closed = false;

  /** Opens the state directory, making what is missing. Throws StateError LOCK_HELD when another process has it. */
  static async open(options: MemberOptions): Promise<Member> {
    const self = selectMember(options.configuration, options.member);
    // In both lies what the databases hold; the mailbox may be for other accounts, when something else serves it.
    makePrivateDirectory(self.state);
    (self.listen === null ? makeDirectory : makePrivateDirectory)(self.directory);
    for (const name of ["locks", "journal"]) makeDirectory(join(self.state, name));
    const lock = ProcessLock.acquire(join(self.state, "locks", "member.db"), `afterimage member ${self.name}`);
    try {
      const store = StateStore.open(join(self.state, "state.db"), {
        mirror: options.configuration.mirror,
        member: self.name,
      });
      return new Member(options, self, lock, store);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  private constructor(options: MemberOptions, self: MemberConfiguration, lock: ProcessLock, store: StateStore) {
    super();
    const { configuration } = options;
    this.#options = options;
    this.#lock = lock;
    this.metrics = new MemberMetrics(self.name);
    const nowMs = options.nowMs ?? Date.now;
    this.roles = new MemberRoles({
      ...{ store, member: self.name, first: configuration.operational, nowMs },
      event: (...event) => this.#event(...event),
      changed: () => {
        this.planOutdated.set();
        this.statusChanged.set();
      },
    });
    const { duty, epoch } = this.roles;
    this.#live = { configuration, self, databases: new Map(), journals: [], duty, epoch };
    this.context = this.#makeContext(store, options);
    this.hooks = new MemberHooks(this.context, this.roles);
    this.daemonRun = new MemberRun(store);
    this.identity = new IdentityWatch(this.context, this.roles, this.daemonRun);
    const { roles, identity, planOutdated } = this;
    this.known = new KnownMembers(this.context, { roles, identity, askersChanged: () => planOutdated.set() });
    this.integration = new IntegrationControl(this.context);
    this.deep = new DeepVerification(this.context, {
      upstream: () => this.upstream,
      database: (name) => this.#dutyOf(name),
    });
    this.#notes = new DatabaseNotes(this.context);
    this.#found = new OperationalDatabases(this.context);
    const source = { upstream: () => this.upstream, duties: this.mirrors, notes: this.#notes };
    this.#followed = new MirrorDatabases(this.context, source);
    const plan = this.plan();
    this.#takeUp(plan);
    for (const [name, path] of plan.databases) if (this.#notes.isRemoved(name)) this.#noteAdded(name, path);
    for (const name of store.databaseNames()) if (!plan.databases.has(name)) this.#noteRemoved(name, plan);
    this.purgeDuty = new PurgeDuty(this.context, () => this.#followers());
    this.watchdog = new Watchdog(this.context, watchedWork(this.context, this), options.nowMs);
    this.alerts = new MemberAlerts(this.context, (unknownMs) => alertFacts(this, unknownMs), options.nowMs);
  }

  #makeContext(store: StateStore, options: MemberOptions): MemberContext {
    const { logger, nowMs = Date.now, onStep, overseer = NO_OVERSEER } = options;
    const steps = new RunbookSteps(onStep);
    return liveContext(this.#live, {
      ...{ store, logger, nowMs, steps, roles: this.roles, overseer },
      hooks: () => this.hooks,
      databaseMissing: () => this.databasesMoved.set(),
      isRemoved: (name) => this.role === "operational" && this.#found.isGone(name, this.#live.self),
      changed: () => this.statusChanged.set(),
      journalGrew: (database) => {
        this.context.journal.markEnd(database);
        for (const shipper of this.shippers.values()) shipper.wake();
        this.statusChanged.set();
      },
      event: (...event) => this.#event(...event),
    });
  }

  override get role(): MemberRole {
    return this.roles.role;
  }

  /** Every other member of the mirror set. */
  override get peers(): Map<string, Peer> {
    return this.known.peers;
  }

  /** Whom this member follows; null on the operational member, and on one that was. */
  get upstream(): Peer | null {
    return this.peers.get(this.#upstreamOf(this.#live.self) ?? "") ?? null;
  }

  #upstreamOf(self: MemberConfiguration): string | null {
    return this.roles.duty === "mirror" ? upstreamOf(this.roles.operational, self) : null;
  }

  /** What this member should be doing by a configuration, and by the databases that there are now. */
  plan(configuration = this.#live.configuration): MemberPlan {
    const self = selectMember(configuration, this.#live.self.name);
    const { duty, epoch, operational } = this.roles;
    return {
      ...{ configuration, self, duty, epoch },
      databases: (duty === "mirror" ? this.#followed : this.#found).find(self),
      upstream: this.#upstreamOf(self),
      followers: duty === "none" ? [] : this.#followersIn(configuration, operational),
    };
  }

  /** Also those that ask for what this member has. */
  #followersIn(configuration: Configuration, operational: string): string[] {
    const { name } = this.#live.self;
    return [...new Set([...followersOf(configuration, operational, name), ...this.known.askers])];
  }

  /** Whether databases have come or gone since the last {@link take}. */
  get isOutdated(): boolean {
    return !sameDatabases(this.plan().databases, this.#live.databases);
  }

  /** The configuration file as it is now. @throws ConfigError. */
  readConfiguration(): Configuration {
    return this.#options.readConfiguration?.() ?? this.#live.configuration;
  }

  /**
   * Makes databases, peers and shippers those of the plan. Nothing may be running for those that go or change; what stays
   * the same is not disturbed.
   */
  async take(plan: MemberPlan): Promise<void> {
    const before = this.#live.databases;
    await this.#letGo(plan);
    this.#takeUp(plan);
    for (const [name, path] of plan.databases) if (!before.has(name)) this.#noteAdded(name, path);
    for (const name of before.keys()) if (!plan.databases.has(name)) this.#noteRemoved(name, plan);
    this.statusChanged.set();
  }

  async #letGo(plan: MemberPlan): Promise<void> {
    const { configuration, databases, duty } = this.#live;
    for (const [name, path] of databases) {
      if (plan.databases.get(name) === path && plan.duty === duty) continue;
      await letGo(this, { name, path, next: plan.duty });
      this.operational.delete(name);
      if (this.mirrors.delete(name)) removeEmptyInbox(this.context, name);
    }
    for (const [name, peer] of this.peers) {
      if (connectionFingerprint(configuration, name) !== connectionFingerprint(plan.configuration, name))
        await peer.disconnect();
      if (!plan.configuration.members.has(name)) this.peers.delete(name);
    }
    for (const name of [...this.shippers.keys()]) {
      const isSame = shipperFingerprint(this.#live, name) === shipperFingerprint(plan, name);
      if (!isSame || !plan.followers.includes(name)) this.shippers.delete(name);
    }
  }

  #takeUp(plan: MemberPlan): void {
    const live = this.#live;
    live.configuration = plan.configuration;
    live.self = plan.self;
    this.known.know(plan.configuration);
    for (const [name, path] of plan.databases) {
      if (this.operational.has(name) || this.mirrors.has(name) || plan.duty === "none") continue;
      clearJournal(this.context, name);
      if (plan.duty === "operational") this.operational.set(name, new OperationalDuty(this.context, name, path));
      else this.mirrors.set(name, new MirrorDuty(this.context, { name, path }, this.integration, this.#options.onStep));
    }
    live.databases = plan.databases;
    live.duty = plan.duty;
    // In another epoch the next segment arrives at another place.
    if (live.epoch !== plan.epoch) for (const duty of this.mirrors.values()) duty.due.set();
    live.epoch = plan.epoch;
    live.journals = [...new Set([...plan.databases.keys(), ...this.context.store.databaseNames()])];
    this.context.space.measure();
    const services: FollowerServices = {
      database: (database) => this.#dutyOf(database),
      verify: (database, stop) => this.deep.answer(database, stop),
    };
    for (const name of plan.followers) {
      const peer = this.peers.get(name);
      if (peer !== undefined && !this.shippers.has(name))
        this.shippers.set(name, new Shipper(this.context, peer, services));
    }
  }

  /** On a mirror what its upstream no longer has may be opened once more, for what was still on its way. */
  #noteAdded(name: string, path: string): void {
    if (this.role === "operational" || !this.#notes.isRemoved(name)) this.#notes.added(name, path);
  }

  #noteRemoved(name: string, { self }: MemberPlan): void {
    const path = configuredPath(self, name);
    const why = path === null ? "the configuration names it no longer" : `${path} is gone`;
    this.#notes.removed(name, `${why}; its journal stays for as long as \`retention\` says`);
  }

  #event(...[level, code, database, message, data]: Parameters<MemberContext["event"]>): void {
    const { tally, store, overseer, logger, nowMs } = this.context;
    const event = { atMs: nowMs(), level, code, database, message, data: data ?? null };
    tally.add("events", `${level} ${code}`);
    store.addEvent(event);
    overseer.event(event);
    logger[level]({ code, ...(database === null ? {} : { database }), ...data }, message);
  }

  #dutyOf(database: string): OperationalDuty | MirrorDuty | undefined {
    return this.operational.get(database) ?? this.mirrors.get(database);
  }

  /** This member's own status document. */
  ownStatus(): MemberStatus {
    const followers = new Map(this.#followers());
    const journal = this.purgeDuty.view();
    const { role, upstream, watchdog } = this;
    const { duty, state } = this.roles;
    const { context, operational, mirrors, integration, deep } = this;
    const duties = dutyFacts({ context, duty, operational, mirrors, integration, deep, upstream });
    const errors = [...this.roles.errors, ...this.handover.errors, ...this.#found.errors];
    const parts = {
      // Databases that are being made writable are not served yet.
      ...{ role, duty: state.role === "claimed" ? ("none" as const) : duty, epoch: knownEpoch(state) },
      ...{ duties, followers, journal, errors, upstream, watchdog },
      alerts: this.alerts.view,
      run: this.daemonRun.view,
      seen: this.known.seen,
      collecting: this.collecting,
      handover: this.handover.view ?? this.offers.refused,
    };
    const status = this.#staleness.describe(buildStatus(this.context, parts), upstream, this.context.nowMs());
    return this.running ? status : { ...status, state: "down", reachable: false };
  }

  /** Every member behind this one, as far as receipts say. */
  #followers(): [string, FollowerStatus][] {
    return [...this.shippers.values()].flatMap((shipper) => shipper.views());
  }

  override async promote(options: PromoteOptions, onStep?: StepListener): Promise<PromoteResult> {
    return await this.context.steps.during(onStep, () => promote(this, options));
  }

  override async rejoin(options: RejoinOptions, onStep?: StepListener): Promise<RejoinResult> {
    return await this.context.steps.during(onStep, () => this.#rejoins.run(() => rejoin(this, options)));
  }

  override async switchover(options: SwitchoverOptions, onStep?: StepListener): Promise<SwitchoverResult> {
    return await this.context.steps.during(onStep, () => this.handover.begin(options));
  }

  override async cancelSwitchover(options: CancelOptions): Promise<CancelResult> {
    return await this.handover.cancel(options);
  }

  override async demote(options: DemoteOptions, onStep?: StepListener): Promise<DemoteResult> {
    return await this.context.steps.during(onStep, () => demote(this, options));
  }

  override async validate(member: string): Promise<ValidateResult> {
    return await validate(this, member);
  }

  /** Serves until `stop` is aborted. */
  async run(stop: AbortSignal): Promise<void> {
    await serve(this, stop);
  }

  /** Closes databases and state and gives the state directory free; twice is harmless. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const duty of [...this.operational.values(), ...this.mirrors.values()]) await duty.close();
    for (const peer of this.peers.values()) await peer.disconnect();
    await this.hooks.idle();
    this.context.store.close();
    this.#lock.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
