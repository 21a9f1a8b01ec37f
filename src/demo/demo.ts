/**
 * The demonstration: a live database, written by an ordinary application, mirrored to two mirrors and a mirror-mirror,
 * each read and checked all the time. Application, readers and daemons are processes of their own; files go from daemon to
 * daemon by SFTP; every figure is measured.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { compareDatabases, integrityCheck, settleDatabase } from "./compare-databases.ts";
import {
  type ApplicationReport,
  applicationReportSchema,
  type ReaderReport,
  readerReportSchema,
} from "./demo-messages.ts";
import {
  type DemoProgress,
  type DemoResult,
  type FailoverResult,
  formatProgress,
  type MemberResult,
  PROGRESS_LEGEND,
} from "./demo-report.ts";
import { type DemoMember, DemoSet } from "./demo-set.ts";
import { type FailoverStage, failOver } from "./failover-act.ts";
import { type ManagedProcess, ReportingProcess } from "./managed-process.ts";
import { OrderAudit } from "./order-audit.ts";
import { startSftpDaemons } from "./sftp-mailboxes.ts";
import { waitUntil } from "./wait-until.ts";

const MEMBERS: readonly DemoMember[] = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
  { member: "coimbra", follows: "lisbon" },
  { member: "faro", follows: "porto" },
];

/** The mirror that takes over when the operational machine is lost. */
const SUCCESSOR = "porto";
const SECONDS_AFTER_LOSS = 3;
const STALLED_AFTER_MS = 30_000;

export interface DemoOptions {
  /** How long it runs once every mirror has its reader. */
  readonly seconds: number;
  readonly ordersPerSecond: number;
  /** Lose the operational machine then. */
  readonly failover: boolean;
  /** Leave the directory with databases, journals and logs behind. */
  readonly keep: boolean;
}

interface DemoSurroundings {
  /** Takes each line of what happens. */
  readonly say: (line: string) => void;
  /** Aborted when the user wants to stop. */
  readonly signal: AbortSignal;
}

export interface DemoOutcome {
  readonly result: DemoResult;
  readonly segments: number;
  /** One sentence for each thing that was wrong; empty when `result.ok`. */
  readonly problems: readonly string[];
}

/** Runs the demonstration and cleans up after it. @throws the signal's reason when it is aborted. */
export async function runDemo(options: DemoOptions, surroundings: DemoSurroundings): Promise<DemoOutcome> {
  await using run = new DemoRun(options, surroundings);
  try {
    await run.start();
    await run.watch(options.seconds);
    if (options.failover) await run.failOver();
    await run.drain();
    await run.stop();
    run.compare();
  } catch (error) {
    surroundings.signal.throwIfAborted();
    run.note(error instanceof Error ? error.message : String(error));
  }
  return run.outcome();
}

class DemoRun implements AsyncDisposable {
  readonly #options: DemoOptions;
  readonly #say: (line: string) => void;
  readonly #signal: AbortSignal;
  readonly #set: DemoSet;
  #application: ReportingProcess<ApplicationReport>;
  readonly #readers = new Map<string, ReportingProcess<ReaderReport>>();
  readonly #problems: string[] = [];
  readonly #identical = new Set<string>();
  /** What the readers had measured before the loss of the operational machine. */
  readonly #lags = new Map<string, MemberResult["lagMs"]>();
  #failover: FailoverResult | null = null;
  #watched = 0;
  #isApplicationLost = false;
  #compared = false;

  constructor(options: DemoOptions, surroundings: DemoSurroundings) {
    this.#options = options;
    this.#say = surroundings.say;
    this.#signal = surroundings.signal;
    this.#set = new DemoSet({ root: mkdtempSync(join(tmpdir(), "afterimage-demo-")), members: MEMBERS });
    this.#application = this.#startApplication();
  }

  #startApplication(): ReportingProcess<ApplicationReport> {
    const args = [this.#set.databasePath(this.#set.operational), String(this.#options.ordersPerSecond)];
    const log = join(this.#set.root, "application.log");
    return ReportingProcess.fork("application", "demo-application", args, log, applicationReportSchema);
  }

  note(problem: string): void {
    this.#problems.push(problem);
  }

  /** Starts everything and waits until each mirror is read. */
  async start(): Promise<void> {
    this.#say(`Directory: ${this.#set.root}`);
    await this.#until("the application writes", () => (this.#application.latest?.orders ?? 0) > 0);
    this.#say(`An application writes ${this.#options.ordersPerSecond} orders a second at ${this.#set.operational}.`);
    await startSftpDaemons(this.#set, (what, condition) => this.#until(what, condition));
    this.#say("Four daemons serve their mailboxes by SFTP, with keys made for this run and host keys pinned.");
    await Promise.all(this.#set.mirrors.map((mirror) => this.#startReader(mirror)));
  }

  /** Shows a line a second until the time is over. */
  async watch(seconds: number): Promise<void> {
    this.#say(PROGRESS_LEGEND);
    const beganMs = performance.now();
    for (let second = 1; second <= seconds; second++) {
      const untilMs = beganMs + second * 1000;
      await this.#until("the next second", () => performance.now() >= untilMs);
      this.#say(formatProgress(this.#progress(++this.#watched)));
    }
  }

  /** Loses the operational machine, and goes on with another one. */
  async failOver(): Promise<void> {
    for (const [member, { latest }] of this.#readers) if (latest?.lagMs) this.#lags.set(member, latest.lagMs);
    this.#failover = await failOver(this.#stage(), SUCCESSOR);
    if (this.#failover.lost > 0) this.note(`${this.#failover.lost} commits were lost`);
    await this.#startReader({ member: MEMBERS[0]?.member ?? "", follows: SUCCESSOR });
    await this.watch(SECONDS_AFTER_LOSS);
  }

  #stage(): FailoverStage {
    return {
      ...{ set: this.#set, say: this.#say, until: (what, condition) => this.#until(what, condition) },
      killApplication: async () => {
        const application = this.#application;
        this.#isApplicationLost = true;
        application.kill("SIGKILL");
        await application.exited;
      },
      resumeApplication: async () => {
        this.#application = this.#startApplication();
        this.#isApplicationLost = false;
        const orders = () => this.#application.latest?.orders ?? null;
        await this.#until("the application reports", () => orders() !== null);
        const before = orders() ?? 0;
        await this.#until("the application goes on", () => (orders() ?? 0) > before);
      },
    };
  }

  /** Stops the application and waits until every mirror has, and shows, its last commit. */
  async drain(): Promise<void> {
    const last = await this.#application.stop();
    if (last === null) throw new Error(`the application failed:\n${this.#application.logTail()}`);
    const readers = [...this.#readers.values()];
    await this.#until("every reader sees the last commit", () =>
      readers.every((r) => r.latest?.commits === last.committed),
    );
    await this.#until("every mirror is at the end of the journal", () =>
      this.#set.mirrors.every(({ member }) => this.#set.isCaughtUp(member)),
    );
  }

  /** Stops the readers, then the daemons. */
  async stop(): Promise<void> {
    this.#say("The application has stopped, and every mirror has its last commit. Stopping the rest and comparing.");
    for (const [member, reader] of this.#readers) {
      const last = await reader.stop();
      if (last === null) this.note(`the reader at ${member} failed:\n${reader.logTail()}`);
      for (const problem of last?.problems ?? []) this.note(`the reader at ${member}: ${problem}`);
    }
    for (const daemon of await this.#set.stopDaemons()) this.note(describeEnd(daemon));
  }

  /** Compares every mirror with the operational database, and each with what the application committed. */
  compare(): void {
    const { operational } = this.#set;
    for (const { member } of MEMBERS) settleDatabase(this.#set.databasePath(member));
    for (const { member } of this.#mirrors) {
      const other = member === operational ? (MEMBERS[0]?.member ?? "") : operational;
      const [expected, path] = [other, member].map((each) => this.#set.databasePath(each));
      const { identical, differingPages, pages } = compareDatabases(expected ?? "", path ?? "");
      if (identical) this.#identical.add(member);
      else this.note(`${member} differs: pages ${differingPages.join(", ")}, sizes in pages ${pages.join(" and ")}`);
    }
    for (const { member } of MEMBERS) this.#auditOrders(member);
    this.#compared = true;
  }

  /** Every member that was a mirror at some time, with whom it followed last. */
  get #mirrors(): readonly DemoMember[] {
    const [first, ...rest] = MEMBERS;
    return this.#failover === null || first === undefined ? rest : [...rest, { ...first, follows: SUCCESSOR }];
  }

  outcome(): DemoOutcome {
    const committed = this.#application.latest?.committed ?? 0;
    const members = this.#mirrors.map((mirror) => this.#memberResult(mirror));
    const ok = this.#compared && this.#problems.length === 0;
    const { seconds } = this.#options;
    const result = { ok, transport: "sftp" as const, seconds, committed, members, failover: this.#failover };
    return { result, segments: this.#set.segmentCount(), problems: this.#problems };
  }

  /** Ends what still runs, by its handle, and removes the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [this.#application, ...this.#readers.values()]) child.kill("SIGKILL");
    await Promise.all([this.#application.exited, ...[...this.#readers.values()].map((reader) => reader.exited)]);
    await this.#set.stopDaemons();
    if (this.#options.keep) this.#say(`Kept: ${this.#set.root}`);
    else rmSync(this.#set.root, { recursive: true, force: true });
  }

  async #startReader({ member, follows }: DemoMember): Promise<void> {
    await this.#until(
      `${member} has a snapshot`,
      () => (this.#set.databaseStatus(member)?.integrated ?? null) !== null,
    );
    const path = this.#set.databasePath(member);
    const log = join(this.#set.root, member, "reader.log");
    const reader = ReportingProcess.fork(`reader at ${member}`, "demo-reader", [path], log, readerReportSchema);
    this.#readers.set(member, reader);
    await this.#until(`${member} is read`, () => reader.latest !== null);
    this.#say(`${member} has its snapshot from ${follows} and is being read.`);
  }

  #progress(elapsedSeconds: number): DemoProgress {
    return {
      elapsedSeconds,
      committed: this.#application.latest?.committed ?? 0,
      segments: this.#set.segmentCount(),
      operational: {
        member: this.#set.operational,
        status: this.#set.databaseStatus(this.#set.operational),
      },
      mirrors: this.#set.mirrors.map(({ member }) => {
        const report = this.#readers.get(member)?.latest;
        const { recentLagMs = null, readErrors = 0 } = report ?? {};
        return { member, status: this.#set.databaseStatus(member), recentLagMs, readErrors };
      }),
    };
  }

  #memberResult({ member, follows }: DemoMember): MemberResult {
    const report = this.#readers.get(member)?.latest ?? null;
    const position = this.#set.databaseStatus(member)?.integrated ?? null;
    return {
      member,
      follows: follows ?? "",
      integrated: position && { epoch: position.epoch, txid: position.txid, checksum: position.checksum },
      identical: this.#identical.has(member),
      lagMs: this.#lags.get(member) ?? report?.lagMs ?? { p50: null, p99: null },
      reads: report?.reads ?? 0,
      readErrors: report?.readErrors ?? 0,
    };
  }

  /** The database is sound, and holds exactly what the application says that it committed. */
  #auditOrders(member: string): void {
    const path = this.#set.databasePath(member);
    const integrity = integrityCheck(path);
    if (integrity !== "ok") this.note(`${member} fails its integrity check: ${integrity}`);
    const db = new Database(path, { readonly: true });
    try {
      const audit = new OrderAudit(db);
      for (const violation of audit.violations()) this.note(`${member}: ${violation}`);
      const { commits, orders } = audit.glimpse(Number.MAX_SAFE_INTEGER);
      const { committed, orders: placed } = this.#application.latest ?? { committed: -1, orders: -1 };
      if (commits !== committed) this.note(`${member} has ${commits} commits of ${committed}`);
      if (orders !== placed) this.note(`${member} has ${orders} orders of ${placed}`);
    } finally {
      db.close();
    }
  }

  /** Waits for the condition, and fails at once when a process has ended that should run. */
  async #until(what: string, condition: () => boolean): Promise<void> {
    const progress = () => `${this.#set.progress()}, ${this.#application.latest?.committed ?? 0} commits`;
    await waitUntil(
      () => {
        this.#expectAllRunning();
        return condition();
      },
      { what, stalledAfterMs: STALLED_AFTER_MS, progress, signal: this.#signal },
    );
  }

  #expectAllRunning(): void {
    const stopping = this.#isApplicationLost || this.#application.latest?.final === true;
    const children = [
      ...(stopping ? [] : [this.#application]),
      ...this.#readers.values(),
      ...this.#set.fallenDaemons(),
    ];
    const fallen = children.find((child) => child.exit !== null);
    if (fallen !== undefined) throw new Error(describeEnd(fallen));
  }
}

function describeEnd(process: ManagedProcess): string {
  const how = process.exit?.signal ?? `exit code ${process.exit?.code}`;
  return `${process.name} ended with ${how}:\n${process.logTail()}`;
}
