/**
 * Salvage: from what is left of a lost operational machine, its commits that never arrived, to the mirror's database.
 *
 * Guarantee: the source is only read. Segments are made and proved in a scratch directory, then moved into this member's own
 * inbox, where the usual checks and the usual integration apply. Every step can be repeated: what was delivered before an
 * interruption is part of the mirror's journal, and the next run goes on after it. The worst outcome is a refusal.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { configuredPath } from "../config/database-pattern.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import { AfterimageError } from "../errors.ts";
import { FileSource } from "../journal/file-source.ts";
import { ProcessLock } from "../journal/process-lock.ts";
import { formatSegmentPath } from "../journal/segment-name.ts";
import { StateStore } from "../journal/state-store.ts";
import { readHeader } from "../ltx/header.ts";
import { formatNodeId } from "../ltx/node-id.ts";
import { formatPosition, formatTxid, type Position } from "../ltx/position.ts";
import type { MemberControl } from "../member/member-control.ts";
import { MemberError } from "../member/member-error.ts";
import { TransportError } from "../transport/transport-error.ts";
import { deliver } from "./delivery.ts";
import { DirectoryFiles } from "./directory-files.ts";
import type { Evidence } from "./evidence.ts";
import type { LostFiles } from "./lost-files.ts";
import { findLostMachine, type LostMachine, rootOf } from "./lost-machine.ts";
import { assertLost, memberOf, WATCH_MS } from "./lost-member.ts";
import { SalvageError } from "./salvage-error.ts";
import { planSalvage, type SalvagePlan } from "./salvage-plan.ts";
import { SftpFiles } from "./sftp-files.ts";

export interface SalvageOptions {
  readonly configuration: Configuration;
  /** The mirror that this machine is. */
  readonly self: MemberConfiguration;
  readonly control: Pick<MemberControl, "integrate">;
  /** A directory, or `sftp://user@host:port/directory`. */
  readonly from: string;
  /** All that this member has when not given. */
  readonly databases?: readonly string[];
  readonly acceptDifference?: boolean;
  /** Do without the comparison of every page, and without copying the database. */
  readonly withoutProof?: boolean;
  /** Make and prove everything, and deliver nothing. */
  readonly dryRun?: boolean;
  /** How long the lost member's heartbeat is watched; {@link WATCH_MS} when not given. */
  readonly watchMs?: number;
  /** Takes a sentence for each step. */
  readonly onStep?: (step: string) => void;
}

/** Plain JSON. TXIDs are 16 hexadecimal digits, positions `epoch:txid:checksum`, times ISO 8601. */
export interface SalvagedDatabase {
  readonly database: string;
  /** `complete`: there was nothing to salvage. `refused`: see `error`; nothing of this database was touched. */
  readonly outcome: "salvaged" | "complete" | "refused";
  /** The end of the mirror's journal before and after; null when it has not begun. */
  readonly from: string | null;
  readonly to: string | null;
  readonly firstTxid: string | null;
  readonly lastTxid: string | null;
  readonly transactions: number;
  /** From the lost member's journal, and cut here. */
  readonly unshippedSegments: number;
  readonly cutSegments: number;
  readonly method: SalvagePlan["method"];
  readonly proved: boolean;
  readonly discardedFrames: number;
  /** When the last salvaged transaction was made, by the lost machine's clock, as far as is known. */
  readonly lastCommit: string | null;
  readonly evidence: Evidence | null;
  readonly notes: readonly string[];
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

export interface SalvageResult {
  /** The member that is lost. */
  readonly member: string;
  readonly dryRun: boolean;
  readonly databases: readonly SalvagedDatabase[];
}

/**
 * Salvages every database; what is refused of one does not keep the others.
 * @throws MemberError NOT_A_MIRROR, DATABASE_UNKNOWN; SalvageError SALVAGE_NOTHING_FOUND, SALVAGE_FOREIGN, SALVAGE_EPOCH,
 * SALVAGE_MEMBER_ALIVE; StateError LOCK_HELD when another salvage runs; TransportError.
 */
export async function salvage(options: SalvageOptions): Promise<SalvageResult> {
  const { self } = options;
  const names = chosen(options);
  using _lock = ProcessLock.acquire(join(self.state, "locks", "salvage.db"), "afterimage salvage");
  const scratch = join(self.state, "salvage");
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch);
  try {
    return await new Salvage(options, scratch).run(names);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

class Salvage {
  readonly #options: SalvageOptions;
  readonly #scratch: string;
  readonly #journal: string;

  constructor(options: SalvageOptions, scratch: string) {
    this.#options = options;
    this.#scratch = scratch;
    this.#journal = join(options.self.state, "journal");
  }

  async run(names: readonly string[]): Promise<SalvageResult> {
    const { configuration, self, dryRun = false, watchMs = WATCH_MS } = this.#options;
    const epoch = this.#epoch();
    const { files, directory } = openFiles(this.#options);
    await using _files = files;
    this.#say(`looking for what is left at ${this.#options.from}`);
    const scratch = this.#scratch;
    const machine = await findLostMachine({ directory, files, configuration, self, databases: names, scratch });
    assertEpoch(machine, epoch);
    const lost = machine.state?.identity.member ?? this.#committer(names) ?? configuration.operational;
    this.#say(`${lost}: ${describe(machine)}; watching for a sign of life`);
    await assertLost({ configuration, self, lost, epoch, watchMs });
    const databases: SalvagedDatabase[] = [];
    for (const database of names) databases.push(await this.#salvageOne(database, { files, machine, lost, epoch }));
    return { member: lost, dryRun, databases };
  }

  async #salvageOne(database: string, found: Found): Promise<SalvagedDatabase> {
    const { dryRun = false, control } = this.#options;
    try {
      // What an earlier run has delivered comes first.
      if (!dryRun) await control.integrate([database]);
      const plan = await this.#plan(database, found);
      const segments = [...plan.unshipped, ...plan.cut];
      this.#say(`${database}: ${segments.length} segments to salvage${plan.proved ? ", every page proved" : ""}`);
      if (!dryRun && plan.to !== null && segments.length > 0) await this.#deliver(database, plan, plan.to);
      return { database, ...report(plan), error: null };
    } catch (error) {
      if (!(error instanceof AfterimageError)) throw error;
      const { code, message, hint = null } = error;
      return { database, ...report(null), outcome: "refused", error: { code, message, hint } };
    }
  }

  async #plan(database: string, { files, machine, lost, epoch }: Found): Promise<SalvagePlan> {
    const { configuration, acceptDifference = false, withoutProof = false } = this.#options;
    const scratch = join(this.#scratch, database);
    mkdirSync(scratch);
    using store = this.#store();
    const before = store.database(database)?.integrated ?? null;
    const nodeId = formatNodeId(epoch, { mirror: configuration.mirror, database, member: lost });
    const plan = await planSalvage({
      ...{ configuration, database, files, machine, store, journal: this.#journal, scratch, epoch, nodeId },
      ...{ acceptDifference, prove: !withoutProof },
    });
    if (describePosition(store.database(database)?.integrated ?? null) === describePosition(before)) return plan;
    throw new SalvageError("SALVAGE_MIRROR_MOVED", `${database} received something else meanwhile`, {
      hint: "Run the command again.",
    });
  }

  async #deliver(database: string, plan: SalvagePlan, to: Position): Promise<void> {
    const { self, control } = this.#options;
    await deliver([...plan.unshipped, ...plan.cut], self.directory, { database, epoch: to.epoch });
    this.#say(`${database}: delivered; waiting for its integration`);
    await control.integrate([database]);
    using store = this.#store();
    const row = store.database(database);
    if (row?.received?.txid === to.txid && row.received.checksum === to.checksum) {
      if (row.integrated?.txid === to.txid || row.paused) return;
    }
    throw new SalvageError("SALVAGE_NOT_TAKEN", `${database} is at ${describePosition(row?.integrated ?? null)}`, {
      hint: "See `afterimage status` and the quarantine directory for the reason; then run the command again.",
    });
  }

  /** Who made the commits at the end of this mirror's journal. */
  #committer(names: readonly string[]): string | null {
    using store = this.#store();
    for (const database of names) {
      const [last] = store.segments(database, { kind: "segment", order: "newest", limit: 1 });
      if (last === undefined) continue;
      using source = new FileSource(join(this.#journal, formatSegmentPath(last)));
      const member = memberOf(this.#options.configuration, database, readHeader(source).nodeId);
      if (member !== null) return member;
    }
    return null;
  }

  #epoch(): number {
    using store = this.#store();
    const role = store.role();
    if (role?.role !== "operational") return role?.epoch ?? 1;
    throw new MemberError("NOT_A_MIRROR", `${this.#options.self.name} is operational: it has nothing to salvage`, {
      hint: "Run the command on a mirror that should get what the lost member had.",
    });
  }

  #store(): StateStore {
    return StateStore.openReadOnly(join(this.#options.self.state, "state.db"));
  }

  #say(step: string): void {
    this.#options.onStep?.(step);
  }
}

interface Found {
  readonly files: LostFiles;
  readonly machine: LostMachine;
  readonly lost: string;
  readonly epoch: number;
}

function chosen({ self, databases }: SalvageOptions): readonly string[] {
  const unknown = databases?.find((name) => configuredPath(self, name) === null);
  if (unknown === undefined) return databases ?? ownDatabases(self);
  throw new MemberError("DATABASE_UNKNOWN", `this member has no database ${unknown}`, {
    hint: "Its databases are listed under `databases` in the configuration.",
  });
}

/** Those that are named in the configuration, and those of a pattern that have a journal. */
function ownDatabases(self: MemberConfiguration): string[] {
  const journals = readdirSync(join(self.state, "journal")).filter((name) => configuredPath(self, name) !== null);
  return [...new Set([...self.databases.keys(), ...journals])];
}

/** @throws TransportError URL_INVALID */
function openFiles({ from, configuration, self }: SalvageOptions): { files: LostFiles; directory: string } {
  const isUrl = /^[a-z]+:\/\//.test(from);
  const place = isUrl ? parseMailbox(from) : ({ kind: "file", path: resolve(from) } as const);
  if (typeof place === "string") {
    throw new TransportError("URL_INVALID", `not a place that can be looked at: ${from}`, { hint: `${place}.` });
  }
  if (place.kind === "file") {
    const boundary = rootOf(place.path, configuration) ?? place.path;
    const own = [
      join(self.state, "state.db"),
      ...ownDatabases(self).flatMap((name) => configuredPath(self, name) ?? []),
    ];
    return { files: new DirectoryFiles(boundary, own), directory: place.path };
  }
  return {
    files: new SftpFiles({ ...place, hostKey: hostKeyOf(configuration, place) }, configuration.ssh),
    directory: place.path,
  };
}

/** The key that is pinned for this host's mailbox; null for the list of known hosts. */
function hostKeyOf({ members }: Configuration, { host, port }: { host: string; port: number }): string | null {
  for (const { mailbox, hostKey } of members.values()) {
    const known = parseMailbox(mailbox);
    if (typeof known !== "string" && known.kind === "sftp" && known.host === host && known.port === port)
      return hostKey;
  }
  return null;
}

function assertEpoch({ state }: LostMachine, epoch: number): void {
  const theirs = state?.role?.epoch ?? epoch;
  if (theirs === epoch) return;
  throw new SalvageError("SALVAGE_EPOCH", `the lost member was in epoch ${theirs}, this mirror is in epoch ${epoch}`, {
    hint:
      theirs < epoch
        ? "Another member has taken over since: what the lost one alone has is kept by `afterimage rejoin`."
        : "This mirror has not heard of the last change of roles: salvage on a mirror that has, see `afterimage whois-operational`.",
  });
}

function describe({ state, journal, databases, unreadable }: LostMachine): string {
  const parts = [
    state === null ? "no state" : "its state",
    journal === null ? "no journal" : "its journal",
    databases.size === 0 ? "no database" : `the databases ${[...databases.keys()].join(", ")}`,
  ];
  return [...parts, ...unreadable.map((problem) => `not readable: ${problem}`)].join(", ");
}

function report(plan: SalvagePlan | null): Omit<SalvagedDatabase, "database" | "error"> {
  const { from = null, to = null, unshipped = [], cut = [] } = plan ?? {};
  const segments = [...unshipped, ...cut];
  const first = segments[0];
  return {
    outcome: first === undefined ? "complete" : "salvaged",
    from: from === null ? null : formatPosition(from),
    to: to === null ? null : formatPosition(to),
    firstTxid: first === undefined ? null : formatTxid(first.minTxid),
    lastTxid: first === undefined || to === null ? null : formatTxid(to.txid),
    transactions: Number((to?.txid ?? 0n) - (from?.txid ?? 0n)),
    unshippedSegments: unshipped.length,
    cutSegments: cut.length,
    method: plan?.method ?? "none",
    proved: plan?.proved ?? false,
    discardedFrames: plan?.discardedFrames ?? 0,
    lastCommit: plan?.lastCommitMs == null ? null : new Date(plan.lastCommitMs).toISOString(),
    evidence: plan?.evidence ?? null,
    notes: plan?.notes ?? [],
  };
}

function describePosition(position: Position | null): string {
  return position === null ? "nothing" : formatPosition(position);
}
