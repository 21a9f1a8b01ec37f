/**
 * Salvage: from what is left of a lost operational machine, its commits that never arrived, to the mirror's database.
 *
 * Guarantee: the source is only read. Segments are made and proved in a scratch directory, then moved into this member's own
 * inbox, where the usual checks and the usual integration apply. Every step can be repeated: what was delivered before an
 * interruption is part of the mirror's journal, and the next run goes on after it. The worst outcome is a refusal.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { configuredPath } from "../config/database-pattern.ts";
import { AfterimageError } from "../errors.ts";
import { FileSource } from "../journal/file-source.ts";
import { ProcessLock } from "../journal/process-lock.ts";
import { formatSegmentPath } from "../journal/segment-name.ts";
import { StateStore } from "../journal/state-store.ts";
import { readHeader } from "../ltx/header.ts";
import { formatNodeId } from "../ltx/node-id.ts";
import { formatPosition, type Position } from "../ltx/position.ts";
import type { MemberControl } from "../member/member-control.ts";
import { MemberError } from "../member/member-error.ts";
import { knownEpoch, reigns } from "../roles/role-state.ts";
import { deliver } from "./delivery.ts";
import type { LostFiles } from "./lost-files.ts";
import { findLostMachine, type LostMachine } from "./lost-machine.ts";
import { assertLost, memberOf, WATCH_MS } from "./lost-member.ts";
import { openFiles } from "./lost-place.ts";
import { SalvageError } from "./salvage-error.ts";
import { planSalvage, type SalvagePlan } from "./salvage-plan.ts";
import { report, type SalvagedDatabase, type SalvageResult } from "./salvage-result.ts";

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
    const own = ownDatabases(self).flatMap((name) => configuredPath(self, name) ?? []);
    const { files, directory } = openFiles(this.#options.from, configuration, [join(self.state, "state.db"), ...own]);
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
      const isDue = !dryRun && plan.to !== null && segments.length > 0;
      const waiting = isDue ? await this.#deliver(database, plan, plan.to) : [];
      return { database, ...report(plan), notes: [...plan.notes, ...waiting], error: null };
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

  /** Returns what is to be said of the integration. */
  async #deliver(database: string, plan: SalvagePlan, to: Position): Promise<string[]> {
    const { self, control } = this.#options;
    await deliver([...plan.unshipped, ...plan.cut], self.directory, { database, epoch: to.epoch });
    this.#say(`${database}: delivered; waiting for its integration`);
    await control.integrate([database]);
    using store = this.#store();
    const row = store.database(database);
    if (row?.received?.txid !== to.txid || row.received.checksum !== to.checksum) {
      throw new SalvageError("SALVAGE_NOT_TAKEN", `${database} is at ${describePosition(row?.received ?? null)}`, {
        hint: "See `afterimage status` and the quarantine directory for the reason; then run the command again.",
      });
    }
    return row.integrated?.txid === to.txid ? [] : [`integration is at ${describePosition(row.integrated)}; it waits`];
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
    if (role === null || !reigns(role)) return role === null ? 1 : knownEpoch(role);
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

function assertEpoch({ state }: LostMachine, epoch: number): void {
  const theirs = state?.role?.epoch ?? epoch;
  if (theirs === epoch) return;
  throw new SalvageError("SALVAGE_EPOCH", `the lost member was in epoch ${theirs}, this mirror is in epoch ${epoch}`, {
    hint:
      theirs < epoch
        ? "Another member has taken over since: keep what the lost one alone has."
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

function describePosition(position: Position | null): string {
  return position === null ? "nothing" : formatPosition(position);
}
