/**
 * The history of epochs: who reigned, from which positions on, and why. PostgreSQL keeps the same in its timeline history
 * files; as there, a position of a former epoch is part of the history only up to where the next one began.
 */
import { formatPosition, NO_TXID, type Position, type Txid } from "../ltx/position.ts";
import { RolesError } from "./roles-error.ts";

export const EPOCH_REASONS = ["initial", "switchover", "promotion"] as const;
export type EpochReason = (typeof EPOCH_REASONS)[number];

export interface Epoch {
  readonly epoch: number;
  /** The member that is operational in it. */
  readonly member: string;
  readonly reason: EpochReason;
  /** ISO 8601, by that member's clock: for people, nothing is decided by it. */
  readonly startedAt: string;
  /** By database, the position of a former epoch at which this one begins; a database that is missing begins anew. */
  readonly starts: Readonly<Record<string, Position>>;
}

/**
 * Where a position stands in a history.
 * - `current`: it is of the newest epoch;
 * - `within`: of a former one, at or before the end that the history has of it, so its journal leads on to the newest;
 * - `beyond`: of a former one, after that end: what is between the end and it is in no later epoch;
 * - `foreign`: no reign of the history led from its epoch to the newest, or its checksum at the end is another one.
 */
export type Standing =
  | { readonly kind: "current" }
  | { readonly kind: "within"; readonly end: Position }
  | { readonly kind: "beyond"; readonly end: Position }
  | { readonly kind: "foreign" };

/**
 * The epoch that a member begins: the smallest after `current` that is its own. Every member has numbers of its own,
 * those that are its place in the configuration modulo the number of members, as the ballots of Paxos are (Lamport, Paxos
 * Made Simple, 2001, section 2.4). So two members that are promoted without knowing of each other are never
 * operational in one epoch, and the higher one prevails as soon as they meet.
 *
 * @param names all members, in the order of the configuration.
 */
export function nextEpoch(current: number, member: string, names: readonly string[]): number {
  const place = names.indexOf(member);
  if (place < 0) throw new RangeError(`${member} is not one of ${names.join(", ")}`);
  const step = (((place - current) % names.length) + names.length) % names.length;
  return current + (step === 0 ? names.length : step);
}

export class EpochHistory {
  /** Oldest first. */
  readonly epochs: readonly Epoch[];

  /**
   * @throws RolesError EPOCH_SPLIT when two of them have one number and are not the same; RangeError when one begins in
   *   an epoch that is not before it.
   */
  constructor(epochs: Iterable<Epoch>) {
    const byNumber = new Map<number, Epoch>();
    for (const epoch of epochs) {
      if (Object.values(epoch.starts).some((start) => start.epoch >= epoch.epoch)) throw backwards(epoch);
      const known = byNumber.get(epoch.epoch);
      if (known !== undefined && !sameEpoch(known, epoch)) throw split(known, epoch);
      byNumber.set(epoch.epoch, known ?? epoch);
    }
    this.epochs = [...byNumber.values()].sort((a, b) => a.epoch - b.epoch);
  }

  /** The newest; null when nothing is known. */
  get current(): Epoch | null {
    return this.epochs.at(-1) ?? null;
  }

  /**
   * Both histories together; this one when the other says nothing new.
   * @throws RolesError EPOCH_SPLIT.
   */
  merge(other: EpochHistory): EpochHistory {
    const merged = new EpochHistory([...this.epochs, ...other.epochs]);
    return merged.epochs.length === this.epochs.length ? this : merged;
  }

  /** Where a database's position stands, on the line of reigns that leads to the newest epoch. */
  standing(database: string, position: Position): Standing {
    let reign = this.current;
    if (reign?.epoch === position.epoch) return { kind: "current" };
    while (reign !== null) {
      const end: Position | undefined = reign.starts[database];
      if (end === undefined) break;
      if (end.epoch === position.epoch) return standingBefore(end, position);
      reign = this.epochs.find(({ epoch }) => epoch === end.epoch) ?? null;
    }
    return { kind: "foreign" };
  }

  /** The same state, named in the newest epoch that begins exactly there; the position itself when none does. */
  forward(database: string, position: Position): Position {
    let at = position;
    for (const reign of this.#line(database)) {
      const start = reign.starts[database];
      if (start !== undefined && samePosition(start, at)) at = { ...at, epoch: reign.epoch };
    }
    return at;
  }

  /**
   * In which epoch the transaction after `txid` is, on the line of reigns that leads to the newest epoch; null when nothing
   * is known of any epoch.
   */
  epochAfter(database: string, txid: Txid): number | null {
    const reigns = this.#line(database);
    const next = reigns.findIndex(({ starts }) => (starts[database]?.txid ?? NO_TXID) > txid);
    return reigns.at(next < 0 ? -1 : Math.max(0, next - 1))?.epoch ?? null;
  }

  /** Up to where a position of an epoch, of which only the TXID is known, is on that line; 0 when its epoch is not. */
  clamp(database: string, { epoch, txid }: Omit<Position, "checksum">): Txid {
    const line = this.#line(database);
    const at = line.findIndex((reign) => reign.epoch === epoch);
    if (at < 0) return NO_TXID;
    const end = line[at + 1]?.starts[database]?.txid ?? txid;
    return end < txid ? end : txid;
  }

  /** The reigns that lead to the newest epoch, oldest first. */
  #line(database: string): Epoch[] {
    const line: Epoch[] = [];
    for (let reign = this.current; reign !== null; ) {
      line.unshift(reign);
      const start: Position | undefined = reign.starts[database];
      reign = start === undefined ? null : (this.epochs.find(({ epoch }) => epoch === start.epoch) ?? null);
    }
    return line;
  }
}

export function samePosition(a: Position, b: Position): boolean {
  return a.epoch === b.epoch && a.txid === b.txid && a.checksum === b.checksum;
}

function standingBefore(end: Position, { txid, checksum }: Position): Standing {
  if (txid > end.txid) return { kind: "beyond", end };
  if (txid === end.txid && checksum !== end.checksum) return { kind: "foreign" };
  return { kind: "within", end };
}

function sameEpoch(a: Epoch, b: Epoch): boolean {
  const starts = ({ starts }: Epoch) =>
    Object.entries(starts)
      .map(([database, position]) => `${database}=${formatPosition(position)}`)
      .sort()
      .join();
  return a.member === b.member && starts(a) === starts(b);
}

function backwards({ epoch, member }: Epoch): RangeError {
  return new RangeError(`epoch ${epoch} of ${member} begins at a position of a later epoch`);
}

function split(a: Epoch, b: Epoch): RolesError {
  const members = a.member === b.member ? `${a.member}, from different positions` : `${a.member} and ${b.member}`;
  return new RolesError("EPOCH_SPLIT", `epoch ${a.epoch} was begun twice: by ${members}`, {
    hint: "Decide which copy is right, and promote that member; the other one then rejoins it.",
  });
}
