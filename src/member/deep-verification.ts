/**
 * Verification of a database on this member and on every member above it, up to the operational one, while all of them go on.
 *
 * Each member compares every page of its own file with the checksums that the journal has proved, at a position of its own;
 * the positions are tied together by the journal, in which every position has one checksum of the whole database. So a
 * byte that differs between two copies at one position is found on the member where it is wrong. A member asks its upstream
 * through its status document, and finds the answer in the upstream's.
 */
import { randomBytes } from "node:crypto";
import { formatChecksum, parsePosition } from "../ltx/position.ts";
import type { VerifiedMember } from "../status/member-status.ts";
import { errorView } from "./error-view.ts";
import type { MemberContext } from "./member-context.ts";
import type { VerificationResult } from "./member-control.ts";
import { pause } from "./pause.ts";
import type { Peer } from "./peer.ts";
import { type Verifiable, verifyDatabase } from "./verification.ts";

const POLL_MS = 200;
/** How long an upstream may say nothing, not even a heartbeat, and how long what it speaks of may take to arrive. */
const PATIENCE_MS = 15_000;

interface DeepSource {
  /** Null on the operational member. */
  upstream(): Peer | null;
  database(name: string): Verifiable | undefined;
}

interface Comparison {
  readonly own: VerificationResult;
  /** Nearest first. */
  readonly members: readonly VerifiedMember[];
  /** What is wrong with them. */
  readonly above: readonly string[];
}

export class DeepVerification {
  readonly #context: MemberContext;
  readonly #source: DeepSource;
  readonly #asked = new Map<string, string>();
  /** By database: several followers may ask at the same time, and one answer is right for all of them. */
  readonly #underWay = new Map<string, Promise<Comparison>>();

  constructor(context: MemberContext, source: DeepSource) {
    this.#context = context;
    this.#source = source;
  }

  /** ID of what the upstream is asked for now; null when it is asked for nothing. */
  asked(database: string): string | null {
    return this.#asked.get(database) ?? null;
  }

  /** Verifies here, then above. Throws as {@link verifyDatabase}, for this member only. */
  async verify(duty: Verifiable, stop: AbortSignal): Promise<VerificationResult> {
    const { own, members, above } = await this.#shared(duty, stop);
    const problems = [...own.problems, ...above];
    return { ...own, ok: problems.length === 0, problems, members };
  }

  /** For a follower that asks: this member, and those above it. Never throws. */
  async answer(database: string, stop: AbortSignal): Promise<VerifiedMember[]> {
    const member = this.#context.self.name;
    const duty = this.#source.database(database);
    if (duty === undefined)
      return [{ member, state: "unknown", position: null, problems: ["it has no such database"] }];
    try {
      const { own, members } = await this.#shared(duty, stop);
      const { ok, position, problems } = own;
      return [{ member, state: ok ? "ok" : "bad", position, problems: [...problems] }, ...members];
    } catch (error) {
      const { code, message } = errorView(error, this.#context.nowMs());
      return [{ member, state: "bad", position: null, problems: [`${code}: ${message}`] }];
    }
  }

  /** Begins one, or waits for the one that goes on, unless that is given up by whoever began it. */
  async #shared(duty: Verifiable, stop: AbortSignal): Promise<Comparison> {
    for (;;) {
      const underWay = this.#underWay.get(duty.name);
      if (underWay === undefined) break;
      const comparison = await underWay.catch(() => null);
      stop.throwIfAborted();
      if (comparison !== null) return comparison;
    }
    const begun = this.#compare(duty, stop).finally(() => this.#underWay.delete(duty.name));
    this.#underWay.set(duty.name, begun);
    return await begun;
  }

  async #compare(duty: Verifiable, stop: AbortSignal): Promise<Comparison> {
    const own = await verifyDatabase(this.#context, duty, stop);
    const members = await this.#above(duty.name, stop);
    const above: string[] = [];
    for (const { member, state, position } of members) {
      if (state === "bad") above.push(`${member} has faults of its own`);
      const contradiction = await this.#contradiction(duty.name, position, stop);
      if (contradiction !== null) above.push(`${member} ${contradiction}`);
    }
    return { own, members, above };
  }

  async #above(database: string, stop: AbortSignal): Promise<readonly VerifiedMember[]> {
    const upstream = this.#source.upstream();
    if (upstream === null) return [];
    const id = randomBytes(8).toString("hex");
    this.#asked.set(database, id);
    this.#context.changed();
    try {
      const answer = await this.#await(upstream, database, id, stop);
      const member = upstream.member.name;
      return answer ?? [{ member, state: "unknown", position: null, problems: ["it does not answer"] }];
    } finally {
      this.#asked.delete(database);
      this.#context.changed();
    }
  }

  async #await(
    upstream: Peer,
    database: string,
    id: string,
    stop: AbortSignal,
  ): Promise<readonly VerifiedMember[] | null> {
    const { self, nowMs } = this.#context;
    let aliveAtMs = nowMs();
    while (!stop.aborted) {
      const answer = upstream.status?.followers[self.name]?.databases[database]?.verification;
      if (answer?.id === id) return answer.members;
      if (upstream.alive) aliveAtMs = nowMs();
      if (nowMs() - aliveAtMs > PATIENCE_MS) return null;
      await pause(POLL_MS, stop);
    }
    return null;
  }

  /** What the journal here says against a position of another member; null when it agrees, or does not reach it. */
  async #contradiction(database: string, text: string | null, stop: AbortSignal): Promise<string | null> {
    const position = parsePosition(text ?? "");
    if (position === null) return null;
    const { store, nowMs } = this.#context;
    const giveUpAtMs = nowMs() + PATIENCE_MS;
    while ((store.database(database)?.received?.txid ?? 0n) < position.txid && nowMs() < giveUpAtMs && !stop.aborted) {
      await pause(POLL_MS, stop);
    }
    const rows = store.catalogue.endingAt(database, position.txid);
    if (rows.length === 0 || rows.some((row) => row.postApplyChecksum === position.checksum)) return null;
    const here = rows.map((row) => formatChecksum(row.postApplyChecksum)).join(", ");
    return `is at ${text}, where the journal of ${this.#context.self.name} has ${here}`;
  }
}

interface Answer {
  readonly id: string;
  /** Null while it goes on. */
  readonly members: readonly VerifiedMember[] | null;
}

/** What came of the verifications that one follower has asked for. */
export class VerificationAnswers {
  readonly #verify: (database: string, stop: AbortSignal) => Promise<readonly VerifiedMember[]>;
  readonly #answers = new Map<string, Answer>();

  constructor(verify: (database: string, stop: AbortSignal) => Promise<readonly VerifiedMember[]>) {
    this.#verify = verify;
  }

  /** Begins what is asked for, once, and not beside another one of the same database. */
  ask(database: string, id: string, stop: AbortSignal): void {
    const known = this.#answers.get(database);
    if (known?.id === id || known?.members === null) return;
    this.#answers.set(database, { id, members: null });
    void this.#verify(database, stop).then((members) => this.#answers.set(database, { id, members }));
  }

  /** Undefined before there is one. */
  of(database: string): { id: string; members: VerifiedMember[] } | undefined {
    const { id, members } = this.#answers.get(database) ?? { members: null };
    return id === undefined || members === null ? undefined : { id, members: [...members] };
  }
}
