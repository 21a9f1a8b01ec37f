/**
 * What a mirror does for one database: take in what arrived, and integrate the journal into its own copy.
 *
 * Guarantee: one thing at a time for each database, and never beside a backup of it. An error stops the integration of this
 * database only; it goes on receiving, and its followers get what it received.
 */
import { BackupError } from "../backup/backup-error.ts";
import { DatabaseLock, describeHolder } from "../backup/database-lock.ts";
import type { DatabaseRow } from "../journal/state-store.ts";
import { formatPosition, type Position, type Txid } from "../ltx/position.ts";
import type { MirrorDatabase } from "../sqlite/mirror-database.ts";
import type { CatchUpProgress, HoldView, ResyncView } from "../status/member-status.ts";
import { Backlog, type UpstreamEnd } from "./backlog.ts";
import { CatchUp } from "./catch-up.ts";
import type { CutSegment } from "./cut-segment.ts";
import { DutyErrors, isShortage } from "./duty-errors.ts";
import { Inbox } from "./inbox.ts";
import { isEmptyInbox } from "./inbox-directory.ts";
import type { GateOptions, IntegrationControl } from "./integration-control.ts";
import { assertNotDiverged } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";
import type { IntegrationResult } from "./member-control.ts";
import { databaseClosed, resyncRunning } from "./member-error.ts";
import { type CopyStep, MirrorCopy } from "./mirror-copy.ts";
import { MirrorResync, type ResyncStep } from "./mirror-resync.ts";
import { Serial } from "./serial.ts";
import { Signal } from "./signal.ts";
import { type SnapshotSource, writeSnapshot } from "./snapshot.ts";
import { setAside } from "./surplus.ts";
import type { VerificationSource } from "./verification.ts";

/** Points between which a mirror may die: those of its copy, and what is received before. */
export type MirrorStep = CopyStep | ResyncStep | "received";

interface IntegrationOptions extends Pick<GateOptions, "now"> {
  /** When aborted, integration stops after the batch that has begun. */
  readonly stop?: AbortSignal | undefined;
}

export class MirrorDuty {
  readonly name: string;
  readonly inbox: Inbox;
  /** Set when there may be something to do before its time. */
  readonly due = new Signal();
  /** Set when the journal here begins anew with the copy as it is: restores, and members behind this one, need a snapshot of it. */
  beginsAnew = false;
  readonly #path: string;
  readonly #context: MemberContext;
  readonly #copy: MirrorCopy;
  readonly #resync: MirrorResync;
  readonly #serial = new Serial();
  readonly #errors: DutyErrors;
  readonly #control: IntegrationControl;
  readonly #backlog: Backlog;
  readonly #catchUp: CatchUp;
  readonly #onStep: (step: MirrorStep) => void;
  /** Opened with the first batch. */
  #lock: DatabaseLock | null = null;
  #heldBy: string | null = null;
  #upstreamEnd: UpstreamEnd | null = null;
  #snapshotting = false;
  #isRetired = false;

  /** @param onStep called at every named step of integration; for fault tests. */
  constructor(
    context: MemberContext,
    { name, path }: { readonly name: string; readonly path: string },
    control: IntegrationControl,
    onStep?: (step: MirrorStep) => void,
  ) {
    this.name = name;
    this.#control = control;
    this.#backlog = new Backlog(context, name, control);
    this.#catchUp = new CatchUp(context, name);
    this.inbox = new Inbox(context, name, (source) => this.#copy.checkFirst(source));
    this.#path = path;
    this.#context = context;
    this.#errors = new DutyErrors(context, name);
    // What was captured in an earlier reign says nothing of the WAL any more.
    if (context.store.database(name)?.walPosition != null) context.store.saveDatabase(name, { walPosition: null });
    this.#onStep = onStep ?? (() => {});
    this.#copy = new MirrorCopy(context, name, path, this.#onStep);
    const lock = { take: () => this.#lockForBatch(), free: () => this.#lock?.freeDatabase() };
    const { inbox } = this;
    this.#resync = new MirrorResync(context, { name, path, inbox, lock, copy: this.#copy, onStep: this.#onStep });
  }

  /** Bytes of the mirror's WAL that are in use; null while the database is not open. */
  get walBytes(): number | null {
    return this.#copy.walBytes;
  }

  /** Another number whenever integration has moved on. */
  get beats(): number {
    return this.#copy.beats;
  }

  /** Whether the last attempt to shorten the WAL has failed, and not for a snapshot of ours. */
  get isWalHeld(): boolean {
    return this.#copy.isWalHeld && !this.#snapshotting;
  }

  /** Whether it may be reading a whole database or a whole segment only to check it. */
  get isChecking(): boolean {
    return !this.#copy.isOpen || this.inbox.isTaking;
  }

  /** Whether segments wait that may be integrated. */
  get isIntegrationDue(): boolean {
    const isHeld = this.#heldBy !== null || this.hold !== null || this.#resync.order !== null;
    return this.#backlog.waiting > 0 && !this.#isRetired && !isHeld;
  }

  /** What holds the next segment back, other than a backup; null when nothing does, or nothing waits. */
  get hold(): HoldView | null {
    return this.#backlog.hold;
  }

  /** How catching up gets on; null when the mirror does not lie behind by more than a moment. */
  get progress(): CatchUpProgress | null {
    return this.#catchUp.progress;
  }

  /** The last transaction that is integrated, or has been begun to be; null when none is. */
  get reached(): { readonly txid: Txid; readonly timeMs: number } | null {
    return this.#backlog.reached;
  }

  /** Resolves when what has been begun is done. */
  async settled(): Promise<void> {
    await this.#serial.idle();
  }

  /** The upstream has come back, or integration is resumed: what failed is tried again now. */
  retryNow(): void {
    this.#errors.retryNow();
    this.#catchUp.expect();
    this.due.set();
  }

  /** The backup that integration waits for, as `backup (process 1, since ...)`; null when it waits for none. */
  get heldBy(): string | null {
    return this.#heldBy;
  }

  /**
   * One turn of the service: takes in what arrived, then integrates what waits. An error stops the integration of this
   * database only; it goes on receiving, and its followers get what it received.
   * @param stop when aborted, it ends after the batch that has begun.
   */
  async poll(upstreamEnd: UpstreamEnd | null, stop?: AbortSignal): Promise<void> {
    await this.#serial.run(async () => {
      try {
        this.#upstreamEnd = upstreamEnd;
        if (setAside(this.#context, this.name)) this.#errors.clear();
        const shortage = await this.#receive(upstreamEnd?.txid ?? null);
        if (await this.#isResyncing()) return;
        if (this.#errors.waiting) return;
        await this.#copy.examine();
        this.#lookBehind();
        await this.#integrateAll({ stop });
        this.#lookBehind();
        this.#copy.shortenWal();
        if (shortage === null) this.#errors.clear();
        else this.#errors.report(shortage);
      } catch (error) {
        await this.#fail(error);
      }
    });
  }

  /** Takes in what arrived. Returns why it must wait when there is no room for it: what is here already is integrated all the same. */
  async #receive(upstreamEnd: Txid | null): Promise<unknown> {
    try {
      if ((await this.inbox.scan(upstreamEnd)) > 0) this.#onStep("received");
      return null;
    } catch (error) {
      if (isShortage(error)) return error;
      throw error;
    }
  }

  /**
   * Takes in everything that is there now, and integrates what may be. Throws what keeps it from doing so: also BackupError
   * INTEGRATION_WHILE_BACKUP, which is no fault of the database.
   */
  async integrate(options: IntegrationOptions = {}): Promise<IntegrationResult> {
    const result = await this.#integrateNow(options);
    if (this.#heldBy === null) return result;
    throw new BackupError("INTEGRATION_WHILE_BACKUP", `integration of ${this.name} waits for a ${this.#heldBy}`, {
      hint: "It is integrated when the backup has read the database; a running daemon does so by itself.",
    });
  }

  async #integrateNow(options: IntegrationOptions): Promise<IntegrationResult> {
    return await this.#serial.run(async () => {
      try {
        if (this.#isRetired) throw databaseClosed(this.name);
        setAside(this.#context, this.name);
        await this.inbox.scan(null);
        if (await this.#isResyncing()) throw resyncRunning(this.name);
        await this.#copy.examine();
        const transactions = await this.#integrateAll(options);
        this.#errors.clear();
        const position = this.#row()?.integrated ?? null;
        return {
          database: this.name,
          transactions,
          position: position === null ? null : formatPosition(position),
          hold: this.hold,
        };
      } catch (error) {
        await this.#fail(error);
        throw error;
      }
    });
  }

  /** What the upstream is asked for to make the copy equal to its own; null when nothing is. */
  get resync(): ResyncView | null {
    return this.#resync.view;
  }

  /** Orders that the copy is made equal to the upstream's, whatever it holds; integration waits until it is. */
  async orderResync(order: (resync: MirrorResync) => Promise<void>): Promise<void> {
    await this.#serial.run(async () => {
      if (this.#isRetired) throw databaseClosed(this.name);
      await order(this.#resync);
    });
    this.due.set();
  }

  /** Goes on with what was ordered; false when nothing is, or it is done. */
  async #isResyncing(): Promise<boolean> {
    if (this.#resync.order === null || this.#isRetired) return false;
    const outcome = await this.#resync.turn();
    if (outcome === "waiting") return true;
    this.#errors.clear();
    this.beginsAnew = outcome === "gap";
    return this.beginsAnew;
  }

  /** Begins to verify what is integrated; null when nothing is yet. Throws what keeps it from doing so. */
  async beginVerification(): Promise<VerificationSource | null> {
    return await this.#serial.run(async () => {
      if (this.#row()?.integrated == null) return null;
      const database = await this.#opened();
      // To open it may have recorded a batch that a crash left behind.
      const position = this.#row()?.integrated ?? null;
      if (position === null) return null;
      const baseline = database.baseline();
      const checksums = this.#copy.freezeChecksums();
      return { path: this.#path, baseline, checksums, position, walBytes: () => this.walBytes };
    });
  }

  /**
   * Writes a snapshot of what is integrated, while integration goes on; null when there is one already or nothing yet, or
   * one is being written. Throws what {@link writeSnapshot} throws.
   */
  async snapshot(): Promise<CutSegment | null> {
    const source = await this.#serial.run(() => this.#beginSnapshot());
    if (source === null) return null;
    try {
      return await writeSnapshot(this.#context, this.name, source);
    } finally {
      this.#snapshotting = false;
    }
  }

  async #beginSnapshot(): Promise<SnapshotSource | null> {
    if (this.#snapshotting || this.#row()?.integrated == null) return null;
    const database = await this.#opened();
    const { integrated, integratedTimeMs } = this.#row() ?? {};
    if (integrated == null) return null;
    const origin = this.#originOf(integrated);
    if (this.#context.store.latestSnapshot(this.name, origin.position.epoch)?.maxTxid === integrated.txid) return null;
    const baseline = database.baseline();
    this.#snapshotting = true;
    const timestampMs = integratedTimeMs ?? this.#context.nowMs();
    return { baseline, timestampMs, ...origin, walBytes: () => this.walBytes };
  }

  /** Of the member that committed what is integrated: a copy of it is no less that member's, and of that epoch. */
  #originOf(position: Position): { position: Position; nodeId?: bigint } {
    const row = this.#context.store.catalogue.endingAt(this.name, position.txid).at(-1);
    if (row === undefined) return { position };
    return { position: { ...position, epoch: row.epoch }, nodeId: this.#context.journal.readHeader(row).nodeId };
  }

  /** Runs `work` while nothing is taken in and nothing integrated. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    return await this.#serial.run(work);
  }

  /** Whether all that arrived is integrated. */
  get isDone(): boolean {
    const { received, integrated } = this.#row() ?? {};
    return received?.txid === integrated?.txid && isEmptyInbox(this.#context, this.name);
  }

  /** Closes the database; what is asked next opens it again. */
  async close(): Promise<void> {
    await this.#serial.run(() => this.#close());
  }

  /** Closes the database for good: what is asked afterwards fails. */
  async retire(): Promise<void> {
    await this.#serial.run(async () => {
      this.#isRetired = true;
      await this.#close();
    });
  }

  #row(): DatabaseRow | null {
    return this.#context.store.database(this.name);
  }

  async #integrateAll(options: IntegrationOptions): Promise<number> {
    assertNotDiverged(this.#context, this.name);
    let transactions = 0;
    // Even when nothing may be integrated: what was changed meanwhile is noticed, and what a crash left behind is recorded.
    if (!this.#copy.isOpen && this.#row()?.integrated != null) await this.#control.slots.run(() => this.#opened());
    while (options.stop?.aborted !== true) {
      // The first batch is the attempt that shows whether an error is over; then the errors of others count again.
      const each = { ...options, isRetry: transactions === 0 };
      const integrated = this.#hasNext(each) ? await this.#control.slots.run(() => this.#integrateNext(each)) : null;
      if (integrated === null) break;
      transactions += integrated;
      this.#context.changed();
      this.#copy.shortenWal();
      if (this.#catchUp.isDue) this.#lookBehind();
    }
    return transactions;
  }

  /** Integrates one batch and returns the number of its transactions; null when there is none, or a backup has the database. */
  async #integrateNext(options: GateOptions): Promise<number | null> {
    if (this.#isRetired) throw databaseClosed(this.name);
    const before = this.#row()?.integrated?.txid ?? 0n;
    const batch = this.#backlog.nextBatch(options);
    if (batch === null || !this.#lockForBatch()) return null;
    try {
      await this.#copy.integrate(batch);
    } finally {
      this.#lock?.freeDatabase();
    }
    return Number(batch.last.maxTxid - before);
  }

  #hasNext(options: GateOptions): boolean {
    const isNext = this.#backlog.hasNext(options);
    if (!isNext) this.#wait(null);
    return isNext;
  }

  /** Finds out how far behind the copy is, when that is worth saying. */
  #lookBehind(): void {
    if (!this.#catchUp.isOpen) return;
    const target = this.#backlog.target(this.#upstreamEnd);
    if (target === null) this.#catchUp.interrupt();
    else this.#catchUp.look(target);
  }

  /** Takes the database for one batch; false when a backup has it. */
  #lockForBatch(): boolean {
    this.#lock ??= DatabaseLock.open(this.#context.self.state, this.name);
    const taken = this.#lock.tryIntegrate();
    this.#wait(taken ? null : describeHolder(this.#lock.holder("backup"), "backup"));
    return taken;
  }

  #wait(heldBy: string | null): void {
    if (heldBy === this.#heldBy) return;
    this.#heldBy = heldBy;
    this.#context.changed();
  }

  async #opened(): Promise<MirrorDatabase> {
    if (!this.#copy.isOpen && this.#isRetired) throw databaseClosed(this.name);
    if (this.#resync.order !== null) throw resyncRunning(this.name);
    return await this.#copy.open();
  }

  async #fail(error: unknown): Promise<void> {
    if (this.#isRetired && !this.#copy.isOpen) return;
    await this.#copy.abandon().catch((cause: unknown) => {
      // A full disk takes no record of it either.
      this.#context.logger.error({ err: cause, database: this.name }, "the database's state cannot be recorded");
    });
    this.#errors.report(error);
  }

  async #close(): Promise<void> {
    this.#lock?.close();
    this.#lock = null;
    await this.#resync.close();
    await this.#copy.close().catch((error: unknown) => this.#fail(error));
  }
}
