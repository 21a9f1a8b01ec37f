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
import { NO_TXID } from "../ltx/position.ts";
import type { FollowerStatus, MemberRole, MemberStatus } from "../status/member-status.ts";
import { JournalSpace } from "./journal-space.ts";
import { MemberCommands } from "./member-commands.ts";
import type { MemberContext } from "./member-context.ts";
import { MirrorDuty, type MirrorStep } from "./mirror-duty.ts";
import { OperationalDuty } from "./operational-duty.ts";
import { Peer } from "./peer.ts";
import { PurgeDuty } from "./purge-duty.ts";
import { serve } from "./service.ts";
import { Shipper } from "./shipper.ts";
import { Signal } from "./signal.ts";
import { buildStatus, type DutyFacts } from "./status-builder.ts";

export interface MemberOptions {
  readonly configuration: Configuration;
  /** Name of the member that this machine is. */
  readonly member: string;
  readonly logger: Logger;
  readonly nowMs?: () => number;
  /** Called at every named step of a mirror; for fault tests. */
  readonly onStep?: (step: MirrorStep) => void;
}

export class Member extends MemberCommands implements AsyncDisposable {
  override readonly context: MemberContext;
  override readonly role: MemberRole;
  /** Every other member of the mirror set. */
  override readonly peers: ReadonlyMap<string, Peer>;
  override readonly operational = new Map<string, OperationalDuty>();
  override readonly mirrors = new Map<string, MirrorDuty>();
  override readonly shippers = new Map<string, Shipper>();
  override readonly purgeDuty: PurgeDuty;
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
    super();
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

  get running(): boolean {
    return this.#running;
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
      const { walBytes, heldBy, inbox } = duty;
      duties.set(name, { fenced: true, walBytes, wants: inbox.wants(), heldBy, quarantined: inbox.quarantine.count });
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
