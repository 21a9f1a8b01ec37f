/** What can be asked of a member, done here and now: by its daemon for whoever calls, or by a command without one. */
import { configuredPath } from "../config/database-pattern.ts";
import { formatPosition } from "../ltx/position.ts";
import { isFencedIn } from "../roles/role-state.ts";
import { isFenced } from "../sqlite/fence.ts";
import type { MemberRole, MemberStatus, MirrorSetStatus } from "../status/member-status.ts";
import type { DeepVerification } from "./deep-verification.ts";
import type { DemoteOptions, DemoteResult } from "./demotion.ts";
import { errorView } from "./error-view.ts";
import { type IntegrationControl, orderUntil } from "./integration-control.ts";
import type { RotationResult, SyncedMember, SyncOptions } from "./journal-results.ts";
import { listSegments } from "./list-segments.ts";
import type { MemberContext } from "./member-context.ts";
import type {
  CancelOptions,
  CancelResult,
  DrillOutcome,
  FenceOptions,
  FenceResult,
  IntegrateOptions,
  IntegrationResult,
  MemberControl,
  NotedWork,
  OrderResult,
  PromoteOptions,
  PromoteResult,
  PurgeOptions,
  PurgeResult,
  RebuildOptions,
  RebuildPlan,
  RejoinOptions,
  RejoinResult,
  ReloadResult,
  ResumeOptions,
  SeedOptions,
  SeedResult,
  SegmentFilter,
  SegmentView,
  ShipOptions,
  ShippedMember,
  SnapshotResult,
  SwitchoverOptions,
  SwitchoverResult,
  VerificationResult,
  VerifyOptions,
} from "./member-control.ts";
import { MemberError, notRunning } from "./member-error.ts";
import type { MemberRoles } from "./member-roles.ts";
import type { MirrorDuty } from "./mirror-duty.ts";
import type { OperationalDuty } from "./operational-duty.ts";
import type { Peer } from "./peer.ts";
import { peerStatus } from "./peer-status.ts";
import type { PurgeDuty } from "./purge-duty.ts";
import { methodToOrder, planRebuild } from "./rebuild.ts";
import type { StepListener } from "./runbook-steps.ts";
import type { Shipper } from "./shipper.ts";
import { type SyncSource, waitForMembers } from "./sync.ts";
import type { ValidateResult } from "./validation.ts";
import { verifyDatabase } from "./verification.ts";

export abstract class MemberCommands implements MemberControl {
  abstract readonly context: MemberContext;
  abstract readonly role: MemberRole;
  abstract readonly roles: MemberRoles;
  /** Every other member of the mirror set. */
  abstract readonly peers: ReadonlyMap<string, Peer>;
  abstract readonly operational: ReadonlyMap<string, OperationalDuty>;
  abstract readonly mirrors: ReadonlyMap<string, MirrorDuty>;
  abstract readonly shippers: ReadonlyMap<string, Shipper>;
  abstract readonly purgeDuty: PurgeDuty;
  abstract readonly integration: IntegrationControl;
  abstract readonly deep: DeepVerification;

  /** Whom this member follows; null on the operational member. */
  abstract get upstream(): Peer | null;

  /** Whether a daemon serves this member. */
  abstract get running(): boolean;

  /** Reads the configuration again and applies it; null when no daemon serves this member. */
  abstract readonly reloader: (() => Promise<ReloadResult>) | null;

  abstract promote(options: PromoteOptions, onStep?: StepListener): Promise<PromoteResult>;

  abstract rejoin(options: RejoinOptions, onStep?: StepListener): Promise<RejoinResult>;

  abstract switchover(options: SwitchoverOptions, onStep?: StepListener): Promise<SwitchoverResult>;

  abstract cancelSwitchover(options: CancelOptions): Promise<CancelResult>;

  abstract demote(options: DemoteOptions, onStep?: StepListener): Promise<DemoteResult>;

  abstract validate(member: string): Promise<ValidateResult>;

  /** This member's own status document. */
  abstract ownStatus(): MemberStatus;

  async reload(): Promise<ReloadResult> {
    if (this.reloader !== null) return await this.reloader();
    throw notRunning(this.context.self.name);
  }

  async status(): Promise<MirrorSetStatus> {
    const { configuration, self } = this.context;
    const others = await Promise.all([...this.peers.values()].map((peer) => this.#look(peer)));
    const byName = new Map([...others, this.ownStatus()].map((status) => [status.member, status]));
    const members = [...configuration.members.keys()].flatMap((name) => byName.get(name) ?? []);
    return { mirror: configuration.mirror, answeredBy: self.name, members };
  }

  /** Reads what a peer says now; a connection that nobody else needs is not kept. */
  async #look(peer: Peer): Promise<MemberStatus> {
    const status = await peerStatus(peer, this.context.nowMs());
    const observed = this.running && (peer === this.upstream || this.shippers.has(peer.member.name));
    if (!observed) await peer.disconnect();
    return status;
  }

  async rotate(databases?: readonly string[]): Promise<RotationResult[]> {
    return await inTurn(this.#chosenOperational(databases), (duty) => duty.rotate());
  }

  async integrate(databases?: readonly string[], options: IntegrateOptions = {}): Promise<IntegrationResult[]> {
    const { until, now = false } = options;
    const duties = this.#chosenMirrors(databases);
    if (until !== undefined) {
      const running = duties.filter(({ name }) => !this.integration.order(name).paused);
      orderUntil(this.integration, running, { names: running.map(({ name }) => name), until });
    }
    return await inTurn(duties, (duty) => duty.integrate({ now }));
  }

  async pause(databases?: readonly string[]): Promise<OrderResult[]> {
    const duties = this.#chosenMirrors(databases);
    this.integration.pause(databases ?? null);
    // What has begun is part of where it has stopped.
    return await inTurn(duties, async (duty) => {
      await duty.settled();
      return this.#orderOf(duty);
    });
  }

  async resume(databases?: readonly string[], { until }: ResumeOptions = {}): Promise<OrderResult[]> {
    const duties = this.#chosenMirrors(databases);
    if (until === undefined) this.integration.resume(databases ?? null, null);
    else orderUntil(this.integration, duties, { names: databases ?? null, until });
    for (const duty of duties) duty.retryNow();
    return duties.map((duty) => this.#orderOf(duty));
  }

  #orderOf({ name }: MirrorDuty): OrderResult {
    const position = this.context.store.database(name)?.integrated ?? null;
    const { paused, until } = this.integration.order(name);
    return { database: name, paused, until, position: position === null ? null : formatPosition(position) };
  }

  async fence(databases?: readonly string[], options: FenceOptions = {}): Promise<FenceResult[]> {
    if (this.role === "operational") return await this.#setFence(true, databases, options);
    return chosen(this.mirrors, databases).map((duty) => ({ database: duty.name, fenced: true, changed: false }));
  }

  async unfence(databases?: readonly string[], options: FenceOptions = {}): Promise<FenceResult[]> {
    if (this.role !== "operational") {
      throw new MemberError("UNFENCE_REFUSED", `${this.context.self.name} is a mirror: its databases stay read-only`, {
        hint: "Only the operational member's databases may be written to.",
      });
    }
    if (isFencedIn(this.roles.state) !== false) {
      const message = `${this.context.self.name} is in the middle of a change of role: its databases stay fenced`;
      throw new MemberError("UNFENCE_REFUSED", message, {
        hint: "A hand-over is undone by `afterimage switchover --cancel`: see `afterimage status`.",
      });
    }
    return await this.#setFence(false, databases, options);
  }

  async #setFence(
    fenced: boolean,
    databases: readonly string[] | undefined,
    { dryRun = false }: FenceOptions,
  ): Promise<FenceResult[]> {
    return await inTurn(chosen(this.operational, databases), async (duty) => {
      if (!dryRun) return await duty.setFence(fenced);
      const is = await isFenced(this.context.databases.get(duty.name) ?? "");
      return { database: duty.name, fenced, changed: is !== fenced };
    });
  }

  async noteWork({ state, ...note }: NotedWork): Promise<void> {
    const { work } = this.context;
    if (state === "finished") work.finish(note, note.total);
    else if (state === "stopped") work.stop(note, "it failed or was ended");
    else work.note({ ...note, total: note.total === 0 ? null : note.total });
  }

  async noteDrill({ ok, message, seconds }: DrillOutcome): Promise<void> {
    this.context.event(ok ? "info" : "error", ok ? "DRILL_PASSED" : "DRILL_FAILED", null, message, { seconds });
  }

  async verify(databases?: readonly string[], { deep = false }: VerifyOptions = {}): Promise<VerificationResult[]> {
    const duties = this.#chosenDuties(databases);
    if (!deep) return await inTurn(duties, (duty) => verifyDatabase(this.context, duty));
    // Whom this member follows hears of it only through its daemon.
    if (!this.running && this.upstream !== null) throw notRunning(this.context.self.name);
    const never = new AbortController();
    return await inTurn(duties, (duty) => this.deep.verify(duty, never.signal));
  }

  async segments(filter: SegmentFilter): Promise<SegmentView[]> {
    const known = this.context.journals();
    if (filter.database !== undefined && !known.includes(filter.database)) throw unknownDatabase(filter.database);
    const names = filter.database === undefined ? known : [filter.database];
    return names.flatMap((name) => listSegments(this.context, name, filter));
  }

  async purge({ dryRun = false }: PurgeOptions): Promise<PurgeResult[]> {
    if (!this.running) await Promise.all([...this.peers.values()].map((peer) => this.#look(peer)));
    return dryRun ? this.purgeDuty.dryRun() : this.purgeDuty.run();
  }

  async snapshot(databases?: readonly string[]): Promise<SnapshotResult[]> {
    return await inTurn(this.#chosenDuties(databases), async ({ name }) => {
      return { database: name, written: await this.#writeSnapshot(name) };
    });
  }

  /** Writes a snapshot of a database, if it has changed since the last; what keeps it from being written becomes an event. */
  async snapshotOrEvent(name: string): Promise<boolean> {
    try {
      return (await this.#writeSnapshot(name)) !== null;
    } catch (error) {
      const { code, message } = errorView(error, this.context.nowMs());
      this.context.event("warn", "SNAPSHOT_FAILED", name, `no snapshot was written: ${message}`, { error: code });
      return false;
    }
  }

  async #writeSnapshot(name: string): Promise<SnapshotResult["written"]> {
    const duty = this.operational.get(name) ?? this.mirrors.get(name);
    const written = (await duty?.snapshot()) ?? null;
    if (written === null) return null;
    const { pages, bytes } = written;
    this.context.event("info", "SNAPSHOT_WRITTEN", name, "a snapshot was written", { pages, bytes });
    return { pages, bytes };
  }

  async ship({ members }: ShipOptions): Promise<ShippedMember[]> {
    const followers = members === undefined ? [...this.shippers.values()] : members.map((name) => this.#follower(name));
    return await this.#whileShipping(followers, () => Promise.all(followers.map((shipper) => shipper.ship())));
  }

  #follower(name: string): Shipper {
    const shipper = this.shippers.get(name);
    if (shipper !== undefined) return shipper;
    throw new MemberError("FOLLOWER_UNKNOWN", `${this.context.self.name} does not ship to ${name}`, {
      hint: `It ships to: ${[...this.shippers.keys()].join(", ") || "nobody"}.`,
    });
  }

  async sync(options: SyncOptions): Promise<SyncedMember[]> {
    const { members } = this.context.configuration;
    const rotated = await this.rotate();
    const ends = new Map(rotated.map(({ database, position }) => [database, position.split(":")[1] ?? ""]));
    const behind = [...members.values()].filter(({ name }) => name !== this.context.self.name);
    const source: SyncSource = {
      followers: behind.map(({ name }) => name),
      ends,
      databasesOf: (name) => {
        const member = behind.find((other) => other.name === name);
        if (member === undefined) return null;
        return [...this.context.databases.keys()].filter((database) => configuredPath(member, database) !== null);
      },
      known: (name) => this.ownStatus().followers[name],
    };
    const shippers = [...this.shippers.values()];
    return await this.#whileShipping(shippers, () => {
      // Not awaited: who cannot be reached is no reason to wait for longer than was asked.
      for (const shipper of shippers) void shipper.ship();
      return waitForMembers(source, options);
    });
  }

  /** Without a daemon nobody ships: then the shippers run for as long as `wait` does. */
  async #whileShipping<T>(shippers: readonly Shipper[], wait: () => Promise<T>): Promise<T> {
    if (this.running) return await wait();
    const stop = new AbortController();
    const shipping = shippers.map((shipper) => shipper.run(stop.signal));
    try {
      return await wait();
    } finally {
      stop.abort();
      await Promise.all(shipping);
    }
  }

  async rebuild({ databases, method, dryRun = false }: RebuildOptions): Promise<RebuildPlan[]> {
    if (this.upstream !== null && !this.running) await this.#look(this.upstream);
    return await inTurn(this.#chosenMirrors(databases), async (duty) => {
      const plan = planRebuild(this.context, this.upstream, duty.name, method ?? null);
      const ordered = dryRun ? null : methodToOrder(plan.method);
      if (ordered !== null) await duty.orderResync((resync) => resync.begin(ordered, "operator"));
      return plan;
    });
  }

  async seed({ database, file, replace }: SeedOptions): Promise<SeedResult> {
    const [duty] = this.#chosenMirrors([database]);
    if (duty === undefined) throw unknownDatabase(database);
    await duty.orderResync((resync) => resync.seed(file, { replace }));
    return { database, path: this.context.databases.get(database) ?? "" };
  }

  #chosenDuties(databases?: readonly string[]): (OperationalDuty | MirrorDuty)[] {
    const duties = this.mirrors.size > 0 ? this.mirrors : this.operational;
    return chosen<OperationalDuty | MirrorDuty>(duties, databases);
  }

  #chosenMirrors(databases?: readonly string[]): MirrorDuty[] {
    if (this.role !== "operational") return chosen(this.mirrors, databases);
    throw new MemberError("NOT_A_MIRROR", `${this.context.self.name} is operational: it has nothing to integrate`, {
      hint: "Run the command with --node and a mirror's name, on the mirror.",
    });
  }

  #chosenOperational(databases?: readonly string[]): OperationalDuty[] {
    if (this.role === "operational") return chosen(this.operational, databases);
    throw new MemberError("NOT_OPERATIONAL", `${this.context.self.name} is a mirror: it cuts no segments of its own`, {
      hint: "Run the command with --node and the operational member's name, on that machine.",
    });
  }
}

function chosen<T>(duties: ReadonlyMap<string, T>, names?: readonly string[]): T[] {
  if (names === undefined) return [...duties.values()];
  return names.map((name) => {
    const duty = duties.get(name);
    if (duty === undefined) throw unknownDatabase(name);
    return duty;
  });
}

function unknownDatabase(name: string): MemberError {
  return new MemberError("DATABASE_UNKNOWN", `this member has no database ${name}`, {
    hint: "Its databases are listed under `databases` in the configuration.",
  });
}

async function inTurn<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await act(item));
  return results;
}
