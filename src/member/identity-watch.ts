/**
 * Whether this member is the only one of its name, and its state the newest that it ever had: by what the other members say
 * of the run that they saw last of it, and by what they have received of its reign.
 *
 * A member that reigns, and whose state was set back, would use transaction numbers again that others hold: it is deposed.
 * A mirror that was set back gets again what it lacks. Where a second member of the name lives, both of them serve nothing.
 */
import { formatPosition, NO_CHECKSUM, type Position } from "../ltx/position.ts";
import { reigns } from "../roles/role-state.ts";
import { type MemberStatus, parsePositionView, type RunView } from "../status/member-status.ts";
import type { MemberContext } from "./member-context.ts";
import type { MemberRoles } from "./member-roles.ts";
import type { MemberRun } from "./member-run.ts";

/** What another member sees may be this one's former run once more, read just before it ended; but not again and again. */
const MOVES_OF_THE_LIVING = 3;

interface Watched {
  readonly session: string;
  readonly beat: number;
  readonly moves: number;
}

export class IdentityWatch {
  readonly #context: MemberContext;
  readonly #roles: MemberRoles;
  readonly #run: MemberRun;
  readonly #watched = new Map<string, Watched>();
  /** Who sees somebody else under this member's name. */
  readonly #strangers = new Set<string>();

  constructor(context: MemberContext, roles: MemberRoles, run: MemberRun) {
    this.#context = context;
    this.#roles = roles;
    this.#run = run;
  }

  /** Takes in what another member says of this one. */
  told(by: MemberStatus): void {
    if (this.#run.view === null) return;
    const seen = by.seen?.[this.#context.self.name];
    if (seen !== undefined) this.sighted(`${by.member} sees`, seen);
    const ahead = this.#heldBeyond(by);
    if (ahead !== null) this.#setBack(`${by.member} has ${ahead}`, 1);
  }

  /** @param where the sighting comes from, as the beginning of a sentence: `porto sees`. */
  sighted(where: string, seen: RunView): void {
    const kind = this.#run.judge(seen);
    if (kind === "own") {
      this.#watched.delete(where);
      if (this.#strangers.delete(where) && this.#strangers.size === 0) this.#roles.setCloned(null);
      return;
    }
    if (kind === "later") this.#setBack(`${where} it in a later run than its state knows of`, seen.start + 1);
    if (this.#moves(where, seen) < MOVES_OF_THE_LIVING || this.#strangers.has(where)) return;
    this.#strangers.add(where);
    const copied = seen.instance === this.#run.view?.instance ? ", with a copy of this state directory" : "";
    this.#roles.setCloned(`${where} another ${this.#context.self.name} that lives${copied}`);
  }

  #moves(where: string, { session, beat }: RunView): number {
    const last = this.#watched.get(where);
    const isSame = last?.session === session;
    const moves = isSame ? last.moves + (last.beat === beat ? 0 : 1) : 0;
    this.#watched.set(where, { session, beat, moves });
    return moves;
  }

  /** A new run, so that what was seen of the state before it was set back no longer counts. */
  #setBack(evidence: string, nextStart: number): void {
    const { role } = this.#roles.state;
    if (role === "deposed") return;
    if (reigns(this.#roles.state)) {
      this.#roles.setBack(evidence);
    } else {
      const message = `the state was set back: ${evidence}; this mirror gets again what it lacks`;
      this.#context.event("warn", "STATE_SET_BACK", null, message);
    }
    this.#run.begin(nextStart);
    this.#context.changed();
  }

  /** What another member holds of this one's reign, and its own journal does not; null when there is nothing. */
  #heldBeyond({ databases }: MemberStatus): string | null {
    if (!reigns(this.#roles.state)) return null;
    const { store } = this.#context;
    for (const [name, { received }] of Object.entries(databases)) {
      const theirs = parsePositionView(received);
      if (theirs === null || theirs.epoch !== this.#roles.epoch) continue;
      const own = store.database(name)?.received ?? null;
      if (own === null || isBeyond(theirs, own)) return `${name} at ${formatPosition(theirs)}`;
    }
    return null;
  }
}

function isBeyond(theirs: Position, own: Position): boolean {
  if (theirs.txid !== own.txid) return theirs.txid > own.txid;
  return theirs.checksum !== own.checksum && theirs.checksum !== NO_CHECKSUM && own.checksum !== NO_CHECKSUM;
}
