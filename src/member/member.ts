/**
 * A member: one state directory, its databases, and what it does for them in its role.
 *
 * Guarantee: a state directory has one member at a time, whether a daemon or a command that does the work itself; the
 * lock is the kernel's and dies with its holder.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import {
  type Configuration,
  FOLLOWS_OPERATIONAL,
  type MemberConfiguration,
  selectMember,
} from "../config/configuration.ts";
import type { EventLevel } from "../journal/event-log.ts";
import { Journal } from "../journal/journal.ts";
import { ProcessLock } from "../journal/process-lock.ts";
import { StateStore } from "../journal/state-store.ts";
import { formatChecksum, formatTxid, NO_TXID } from "../ltx/position.ts";
import type { FollowerStatus, MemberRole, MemberStatus, MirrorSetStatus } from "../status/member-status.ts";
import { errorView } from "./error-view.ts";
import { JournalSpace } from "./journal-space.ts";
import type { MemberContext } from "./member-context.ts";
import type {
  FenceResult,
  IntegrationResult,
  MemberControl,
  PurgeOptions,
  PurgeResult,
  RotationResult,
  SegmentFilter,
  SegmentView,
  SyncedMember,
  SyncOptions,
  VerificationResult,
} from "./member-control.ts";
import { MemberError } from "./member-error.ts";
import { MirrorDuty, type MirrorStep } from "./mirror-duty.ts";
import { OperationalDuty } from "./operational-duty.ts";
import { Peer } from "./peer.ts";
import { peerStatus } from "./peer-status.ts";
import { PurgeDuty } from "./purge-duty.ts";
import { serve } from "./service.ts";
import { Shipper } from "./shipper.ts";
import { Signal } from "./signal.ts";
import { buildStatus, type DutyFacts } from "./status-builder.ts";
import { waitForMembers } from "./sync.ts";

export interface MemberOptions {
  readonly configuration: Configuration;
  /** Name of the member that this machine is. */
  readonly member: string;
  readonly logger: Logger;
  readonly nowMs?: () => number;
  /** Called at every named step of a mirror; for fault tests. */
  readonly onStep?: (step: MirrorStep) => void;
}

export class Member implements MemberControl, AsyncDisposable {
  readonly context: MemberContext;
  readonly role: MemberRole;
  /** Every other member of the mirror set. */
  readonly peers: ReadonlyMap<string, Peer>;
  readonly operational = new Map<string, OperationalDuty>();
  readonly mirrors = new Map<string, MirrorDuty>();
  readonly shippers = new Map<string, Shipper>();
  readonly purgeDuty: PurgeDuty;
  /** Set when status has changed. */
  readonly statusChanged = new Signal();
  readonly #lock: ProcessLock;
  #running = false;
  #closed = false;

  /** Opens the state directory, making what is missing. Throws StateError LOCK_HELD when another process has it. */
  static async open(options: MemberOptions): Promise<Member> {
    const self = selectMember(options.configuration, options.member);
    for (const directory of [self.state, self.directory, join(self.state, "locks"), join(self.state, "journal")]) {
      mkdirSync(directory, { recursive: true });
    }
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
    const { configuration, logger, nowMs = Date.now } = options;
    this.#lock = lock;
    const known = store.role();
    this.role = known?.role ?? (configuration.operational === self.name ? "operational" : "mirror");
    const epoch = known?.epoch ?? 1;
    if (known === null) store.saveRole({ role: this.role, epoch });
    const directory = join(self.state, "journal");
    this.context = {
      configuration,
      self,
      role: this.role,
      epoch,
      store,
      journal: new Journal(directory, store.catalogue),
      space: new JournalSpace({ directory, store, configuration: configuration.journal, databases: self.databases }),
      logger,
      nowMs,
      changed: () => this.statusChanged.set(),
      journalGrew: (database) => {
        this.context.journal.markEnd(database);
        for (const shipper of this.shippers.values()) shipper.wake();
        this.statusChanged.set();
      },
      event: (level, code, database, message, data) => this.#event(level, code, database, message, data),
    };
    const others = [...configuration.members.values()].filter((member) => member.name !== self.name);
    this.peers = new Map(others.map((member) => [member.name, new Peer(member, configuration.ssh, nowMs)]));
    this.#takeUpDuties(options.onStep);
    this.purgeDuty = new PurgeDuty(this.context, () => this.#followers());
  }

  /** Whom this member follows; null on the operational member. */
  get upstream(): Peer | null {
    if (this.role === "operational") return null;
    return this.peers.get(upstreamOf(this.context.configuration, this.context.self) ?? "") ?? null;
  }

  #takeUpDuties(onStep: MemberOptions["onStep"]): void {
    const { configuration, self } = this.context;
    for (const [name, path] of self.databases) {
      const row = this.context.store.database(name);
      const { journal, epoch } = this.context;
      const end = row?.received?.txid ?? NO_TXID;
      journal.markEnd(name);
      const strays = [...journal.removeStray(name, epoch, end), ...journal.removeUncatalogued(name, epoch, end)];
      if (strays.length > 0)
        this.context.logger.info({ database: name, strays }, "files of an unfinished step removed");
      if (this.role === "operational") this.operational.set(name, new OperationalDuty(this.context, name, path));
      else this.mirrors.set(name, new MirrorDuty(this.context, name, path, onStep));
    }
    for (const peer of this.peers.values()) {
      if (upstreamOf(configuration, peer.member) !== self.name) continue;
      const shared = [...peer.member.databases.keys()].filter((name) => self.databases.has(name));
      this.shippers.set(peer.member.name, new Shipper(this.context, peer, shared));
    }
  }

  #event(
    level: EventLevel,
    code: string,
    database: string | null,
    message: string,
    data?: Record<string, unknown>,
  ): void {
    this.context.store.addEvent({ atMs: this.context.nowMs(), level, code, database, message, data: data ?? null });
    this.context.logger[level]({ code, ...(database === null ? {} : { database }), ...data }, message);
  }

  /** Marks the member as served by a daemon, so that status says so. */
  set running(running: boolean) {
    this.#running = running;
  }

  /** This member's own status document. */
  ownStatus(): MemberStatus {
    const duties = new Map<string, DutyFacts>();
    for (const [name, duty] of this.operational) {
      duties.set(name, { fenced: duty.fenced, walBytes: duty.walBytes, wants: null });
    }
    for (const [name, duty] of this.mirrors) {
      duties.set(name, { fenced: true, walBytes: duty.walBytes, wants: duty.inbox.wants() });
    }
    const followers = new Map(this.#followers());
    const journal = this.purgeDuty.view();
    const status = buildStatus(this.context, { role: this.role, duties, followers, journal, upstream: this.upstream });
    return this.#running ? status : { ...status, state: "down", reachable: false };
  }

  /** Every member behind this one, as far as receipts say. */
  #followers(): [string, FollowerStatus][] {
    return [...this.shippers.values()].flatMap((shipper) => shipper.views());
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
    const observed = this.#running && (peer === this.upstream || this.shippers.has(peer.member.name));
    if (!observed) await peer.disconnect();
    return status;
  }

  async rotate(databases?: readonly string[]): Promise<RotationResult[]> {
    return await inTurn(this.#chosenOperational(databases), (duty) => duty.rotate());
  }

  async integrate(databases?: readonly string[]): Promise<IntegrationResult[]> {
    if (this.role === "operational") {
      throw new MemberError("NOT_A_MIRROR", `${this.context.self.name} is operational: it has nothing to integrate`, {
        hint: "Run the command with --node and a mirror's name, on the mirror.",
      });
    }
    return await inTurn(chosen(this.mirrors, databases), (duty) => duty.integrate());
  }

  async fence(databases?: readonly string[]): Promise<FenceResult[]> {
    if (this.role === "operational")
      return await inTurn(chosen(this.operational, databases), (duty) => duty.setFence(true));
    return chosen(this.mirrors, databases).map((duty) => ({ database: duty.name, fenced: true, changed: false }));
  }

  async unfence(databases?: readonly string[]): Promise<FenceResult[]> {
    if (this.role !== "operational") {
      throw new MemberError("UNFENCE_REFUSED", `${this.context.self.name} is a mirror: its databases stay read-only`, {
        hint: "Only the operational member's databases may be written to.",
      });
    }
    return await inTurn(chosen(this.operational, databases), (duty) => duty.setFence(false));
  }

  async verify(databases?: readonly string[]): Promise<VerificationResult[]> {
    const duties = this.role === "operational" ? chosen(this.operational, databases) : chosen(this.mirrors, databases);
    return await inTurn<{ name: string; verify(): Promise<VerificationResult> }, VerificationResult>(
      duties,
      async (duty) => {
        const chain = (await this.context.journal.verifyChain(duty.name)).map((problem) => problem.message);
        const result = await duty.verify();
        const problems = [...result.problems, ...chain];
        return { ...result, ok: problems.length === 0, problems };
      },
    );
  }

  async segments(filter: SegmentFilter): Promise<SegmentView[]> {
    const { self, store, journal } = this.context;
    if (filter.database !== undefined && !self.databases.has(filter.database)) throw unknownDatabase(filter.database);
    const names = filter.database === undefined ? [...self.databases.keys()] : [filter.database];
    const limit = filter.limit ?? 50;
    return names.flatMap((name) =>
      store
        .segments(name, { order: "newest", limit })
        .reverse()
        .map((row) => ({
          database: name,
          epoch: row.epoch,
          kind: row.kind,
          minTxid: formatTxid(row.minTxid),
          maxTxid: formatTxid(row.maxTxid),
          bytes: row.bytes,
          pages: row.pages,
          time: new Date(row.timestampMs).toISOString(),
          preApplyChecksum: formatChecksum(row.preApplyChecksum),
          postApplyChecksum: formatChecksum(row.postApplyChecksum),
          path: journal.path(row),
        })),
    );
  }

  async purge({ dryRun = false }: PurgeOptions): Promise<PurgeResult[]> {
    if (!this.#running) await Promise.all([...this.peers.values()].map((peer) => this.#look(peer)));
    return dryRun ? this.purgeDuty.dryRun() : this.purgeDuty.run();
  }

  /** Writes a snapshot of a database, if it has changed since the last; what keeps it from being written becomes an event. */
  async snapshot(name: string): Promise<boolean> {
    const duty = this.operational.get(name) ?? this.mirrors.get(name);
    try {
      const written = (await duty?.snapshot()) ?? null;
      if (written === null) return false;
      const { pages, bytes } = written;
      this.context.event("info", "SNAPSHOT_WRITTEN", name, "a snapshot was written", { pages, bytes });
      return true;
    } catch (error) {
      const { code, message } = errorView(error, this.context.nowMs());
      this.context.event("warn", "SNAPSHOT_FAILED", name, `no snapshot was written: ${message}`, { error: code });
      return false;
    }
  }

  async sync(options: SyncOptions): Promise<SyncedMember[]> {
    const { members } = this.context.configuration;
    const rotated = await this.rotate();
    const ends = new Map(rotated.map(({ database, position }) => [database, position.split(":")[1] ?? ""]));
    const behind = [...members.values()].filter(({ name }) => name !== this.context.self.name);
    return await this.#whileShipping(() =>
      waitForMembers(
        {
          followers: behind.map(({ name }) => name),
          ends,
          databasesOf: (name) => {
            const member = behind.find((other) => other.name === name);
            return member === undefined ? null : [...member.databases.keys()];
          },
          known: (name) => this.ownStatus().followers[name],
        },
        options,
      ),
    );
  }

  /** Without a daemon nobody ships: then the shippers run for as long as `wait` does. */
  async #whileShipping<T>(wait: () => Promise<T>): Promise<T> {
    if (this.#running) return await wait();
    const stop = new AbortController();
    const shipping = [...this.shippers.values()].map((shipper) => shipper.run(stop.signal));
    try {
      return await wait();
    } finally {
      stop.abort();
      await Promise.all(shipping);
    }
  }

  #chosenOperational(databases?: readonly string[]): OperationalDuty[] {
    if (this.role === "operational") return chosen(this.operational, databases);
    throw new MemberError("NOT_OPERATIONAL", `${this.context.self.name} is a mirror: it cuts no segments of its own`, {
      hint: "Run the command with --node and the operational member's name, on that machine.",
    });
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
    this.context.store.close();
    this.#lock.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The member that `member` follows by the configuration. */
function upstreamOf(configuration: Configuration, member: MemberConfiguration): string | null {
  if (member.name === configuration.operational) return null;
  return member.follows === FOLLOWS_OPERATIONAL ? configuration.operational : member.follows;
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
