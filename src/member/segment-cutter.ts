/**
 * Cuts segments of one database, each in one step with what the state says of it.
 *
 * Guarantee: the file is durable first; then its catalogue row, the page checksums, the journal's end and the WAL position
 * move in one transaction. When something fails before that, all of them are what they were.
 */
import { formatSegmentName } from "../journal/segment-name.ts";
import { NO_CHECKSUM, type Position, toTxid } from "../ltx/position.ts";
import type { Baseline } from "../sqlite/baseline.ts";
import type { CapturedChange } from "../sqlite/operational-database.ts";
import type { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import type { Page } from "../sqlite/page-run.ts";
import { stageChecksums } from "../sqlite/stage-checksums.ts";
import type { WalPosition } from "../sqlite/wal-format.ts";
import { type CutSegment, cutSegment, PROGRESS_BYTES, planSegment, type SegmentPlan } from "./cut-segment.ts";
import type { Purpose } from "./journal-space.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";

export class SegmentCutter {
  readonly #context: MemberContext;
  readonly #database: string;
  readonly #table: PageChecksumTable;
  #beats = 0;

  /** @param table of the database; only this changes it. */
  constructor(context: MemberContext, database: string, table: PageChecksumTable) {
    this.#context = context;
    this.#database = database;
    this.#table = table;
  }

  /** Another number whenever something more of a segment was written. */
  get beats(): number {
    return this.#beats;
  }

  /** The end of the journal. @throws MemberError NO_SNAPSHOT before the first snapshot. */
  get position(): Position {
    const position = this.#context.store.database(this.#database)?.received;
    if (position == null) throw new MemberError("NO_SNAPSHOT", `the journal of ${this.#database} has not begun yet`);
    return position;
  }

  /** Cuts the snapshot with which the journal begins. */
  async cutFirst(baseline: Baseline): Promise<CutSegment> {
    const plan = planSegment(this.#context, this.#ref("snapshot", 1n, 1n), baseline, NO_CHECKSUM);
    return await this.#cut(stageChecksums(this.#table, baseline), plan, baseline.position, { snapshot: true });
  }

  /** Cuts one transaction that leads to `baseline`. `pages` stages the checksum of every page that it gives out. */
  async cutDifference(baseline: Baseline, pages: Iterable<Page>): Promise<CutSegment> {
    const { txid, checksum } = this.position;
    const plan = planSegment(this.#context, this.#ref("segment", txid + 1n, txid + 1n), baseline, checksum);
    return await this.#cut(pages, plan, baseline.position, {});
  }

  /** Cuts a stretch of the WAL and returns the segment's name. */
  async cutChange(change: CapturedChange, purpose: Purpose): Promise<string> {
    const { txid, checksum } = this.position;
    const ref = this.#ref("segment", txid + 1n, txid + BigInt(change.commits));
    const plan: SegmentPlan = {
      ...planSegment(this.#context, ref, { ...change, position: change.to }, checksum),
      wal: { offset: change.walOffset, size: change.walSize, salt1: change.to.salt1, salt2: change.to.salt2 },
    };
    await this.#cut(stageChecksums(this.#table, change), plan, change.to, purpose);
    return formatSegmentName(ref);
  }

  /** The WAL position alone, when nothing is to be cut. */
  saveWalPosition(walPosition: WalPosition): void {
    this.#context.store.transaction(() => this.#context.store.saveDatabase(this.#database, { walPosition }));
  }

  #ref(kind: SegmentPlan["kind"], minTxid: bigint, maxTxid: bigint) {
    return { database: this.#database, kind, minTxid: toTxid(minTxid), maxTxid: toTxid(maxTxid) };
  }

  /** Writes one segment and moves the journal's end, the page checksums and the WAL position together. */
  async #cut(
    pages: Iterable<Page>,
    plan: SegmentPlan,
    walPosition: WalPosition,
    purpose: Purpose,
  ): Promise<CutSegment> {
    const { store, journal, space, tally, epoch } = this.#context;
    try {
      const contents = {
        pages,
        checksum: () => this.#table.checksum,
        onProgress: (written: number) => {
          this.#beats++;
          space.assertRoom(PROGRESS_BYTES, { ...purpose, written });
        },
      };
      const cut = await cutSegment(journal.create(plan), contents, plan);
      const position: Position = { epoch, txid: plan.maxTxid, checksum: cut.postApplyChecksum };
      store.transaction(() => {
        this.#table.flush();
        store.addSegment({ ...plan, ...cut, addedAtMs: this.#context.nowMs() });
        store.saveDatabase(this.#database, {
          received: position,
          integrated: position,
          receivedTimeMs: plan.timestampMs,
          integratedTimeMs: plan.timestampMs,
          pageSize: plan.pageSize,
          pageCount: plan.pageCount,
          walPosition,
        });
      });
      this.#table.settle();
      space.grew(cut.bytes);
      tally.addFiles("cut", this.#database, cut.bytes);
      this.#context.journalGrew(this.#database);
      return cut;
    } catch (error) {
      this.#table.discard();
      throw error;
    }
  }
}
