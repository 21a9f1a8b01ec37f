/**
 * How a mirror that was away gets level again: said once when it begins, shown while it goes on, said once when it is over.
 *
 * Ordinary lag is none of it: only what is looked at after a start, a lost connection or a stop of integration, and then lies
 * behind by more than {@link MOMENT_MS} between two segments' times, which are one machine's.
 */
import type { Txid } from "../ltx/position.ts";
import type { CatchUpProgress } from "../status/member-status.ts";
import type { MemberContext } from "./member-context.ts";

const MOMENT_MS = 30_000;
/** Close enough, when all that has come is integrated: the operational member cuts and ships all the time. */
const LEVEL_MS = 15_000;
const SAMPLE_INTERVAL_MS = 1_000;
const SAMPLES = 30;

export interface CatchUpTarget {
  /** The last transaction that may be integrated, as far as it is known. */
  readonly txid: Txid;
  /** When its segment was cut; null when not known. */
  readonly timeMs: number | null;
  /** Whether an upstream that lives says so. */
  readonly isCertain: boolean;
}

interface Sample {
  readonly atMs: number;
  readonly integrated: Txid;
  readonly left: number;
}

interface Run {
  readonly beganAtMs: number;
  readonly from: Txid;
  readonly samples: Sample[];
  progress: CatchUpProgress;
}

export class CatchUp {
  readonly #context: MemberContext;
  readonly #database: string;
  /** `expected`: it may be far behind, and nobody has looked yet. */
  #state: "expected" | "level" | Run = "expected";

  constructor(context: MemberContext, database: string) {
    this.#context = context;
    this.#database = database;
  }

  /** What status shows; null when it is not catching up. */
  get progress(): CatchUpProgress | null {
    return typeof this.#state === "string" ? null : this.#state.progress;
  }

  /** Whether there may be something to say: {@link look} costs a look into the catalogue. */
  get isOpen(): boolean {
    return this.#state !== "level";
  }

  /** Whether progress is worth another {@link look}. */
  get isDue(): boolean {
    return typeof this.#state !== "string" && this.#isDue(this.#state);
  }

  #isDue({ samples }: Run): boolean {
    return this.#context.nowMs() - (samples.at(-1)?.atMs ?? 0) >= SAMPLE_INTERVAL_MS;
  }

  /** The mirror was away, or has been stopped: the next looks find out how far it is behind. */
  expect(): void {
    if (this.#state === "level") this.#state = "expected";
  }

  /** Integration stops before it is level; nothing is said. */
  interrupt(): void {
    this.#context.work.stop({ kind: "catchUp", database: this.#database }, "integration stops");
    if (this.#state !== "level") this.#state = "expected";
  }

  look(target: CatchUpTarget): void {
    const row = this.#context.store.database(this.#database);
    const integrated = row?.integrated?.txid ?? null;
    if (integrated === null || this.#state === "level") return;
    const left = Math.max(0, Number(target.txid - integrated));
    const behindMs = target.timeMs === null ? 0 : target.timeMs - (row?.integratedTimeMs ?? target.timeMs);
    if (this.#state === "expected") {
      if (left > 0 && behindMs >= MOMENT_MS) this.#begin(integrated, left, behindMs);
      else if (target.isCertain) this.#state = "level";
      return;
    }
    const isLevel = left === 0 || (behindMs < LEVEL_MS && row?.received?.txid === integrated);
    if (isLevel) this.#end(this.#state, integrated);
    else this.#goOn(this.#state, { atMs: this.#context.nowMs(), integrated, left });
  }

  #begin(integrated: Txid, left: number, behindMs: number): void {
    const { nowMs, event } = this.#context;
    const progress = { transactions: left, bytes: this.#bytesAfter(integrated), perSecond: null, secondsLeft: null };
    const samples = [{ atMs: nowMs(), integrated, left }];
    this.#state = { beganAtMs: nowMs(), from: integrated, samples, progress };
    const behind = `${left} transactions, ${Math.round(behindMs / 1000)} s`;
    const { transactions, bytes } = progress;
    event("info", "CATCHING_UP", this.#database, `the mirror is behind by ${behind}`, { transactions, bytes });
    this.#note(this.#state, integrated);
    this.#context.changed();
  }

  #goOn(run: Run, sample: Sample): void {
    if (!this.#isDue(run)) return;
    run.samples.push(sample);
    if (run.samples.length > SAMPLES) run.samples.shift();
    const [first = sample] = run.samples;
    const seconds = Math.max(0.001, (sample.atMs - first.atMs) / 1000);
    const perSecond = Number(sample.integrated - first.integrated) / seconds;
    // More comes meanwhile: what counts is how fast it becomes less.
    const lessPerSecond = (first.left - sample.left) / seconds;
    run.progress = {
      transactions: sample.left,
      bytes: this.#bytesAfter(sample.integrated),
      perSecond: Math.round(perSecond * 10) / 10,
      secondsLeft: lessPerSecond > 0 ? Math.ceil(sample.left / lessPerSecond) : null,
    };
    this.#note(run, sample.integrated);
    this.#context.changed();
  }

  #note({ from, progress }: Run, integrated: Txid): void {
    const done = Number(integrated - from);
    const amount = { done, total: done + progress.transactions, unit: "transactions" as const };
    this.#context.work.note({ kind: "catchUp", database: this.#database, step: "integrating", ...amount });
  }

  #end(run: Run, integrated: Txid): void {
    const transactions = Number(integrated - run.from);
    const seconds = Math.round((this.#context.nowMs() - run.beganAtMs) / 100) / 10;
    const message = `caught up: ${transactions} transactions in ${seconds} s`;
    this.#state = "level";
    this.#context.work.finish({ kind: "catchUp", database: this.#database }, transactions);
    this.#context.event("info", "CAUGHT_UP", this.#database, message, { transactions, seconds });
    this.#context.changed();
  }

  /** Of the segments that are here. */
  #bytesAfter(integrated: Txid): number {
    const { store, epoch } = this.#context;
    const from = store.database(this.#database)?.integrated?.epoch ?? epoch;
    return store.catalogue.bytesAfter(this.#database, from, integrated);
  }
}
