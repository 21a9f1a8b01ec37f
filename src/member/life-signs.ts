/**
 * What proves that a member lives, out of every status document that is read: its own heartbeat moves, or the beats of it that
 * another member has seen do. Judged by this machine's clock alone, and by one that nobody sets.
 */
import type { MemberStatus } from "../status/member-status.ts";

interface LifeSign {
  readonly sign: string;
  /** How often it has changed. */
  readonly moves: number;
  /** When it was read first, by performance.now(). */
  readonly sinceMs: number;
}

export class LifeSigns {
  /** By the member that they are of, and then by who tells. */
  readonly #signs = new Map<string, Map<string, LifeSign>>();

  note({ member, heartbeat, seen }: Pick<MemberStatus, "member" | "heartbeat" | "seen">): void {
    if (heartbeat !== null) this.#note(member, member, heartbeat);
    for (const [of, { session, beat }] of Object.entries(seen ?? {})) this.#note(of, member, `${session} ${beat}`);
  }

  /** How often the sign of a member has changed, by who tells. */
  movesOf(member: string): ReadonlyMap<string, number> {
    return new Map([...(this.#signs.get(member) ?? [])].map(([witness, { moves }]) => [witness, moves]));
  }

  /** When anything new was heard of a member last, by performance.now(); null when nothing ever was. */
  heardAtMs(member: string): number | null {
    const times = [...(this.#signs.get(member)?.values() ?? [])].map(({ sinceMs }) => sinceMs);
    return times.length === 0 ? null : Math.max(...times);
  }

  #note(of: string, witness: string, sign: string): void {
    const signs = this.#signs.get(of) ?? new Map<string, LifeSign>();
    const last = signs.get(witness);
    if (last?.sign === sign) return;
    const moves = last === undefined ? 0 : last.moves + 1;
    signs.set(witness, { sign, moves, sinceMs: performance.now() });
    this.#signs.set(of, signs);
  }
}
