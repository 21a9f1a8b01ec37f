/** Cuts segments of the lost member's commits, as its own daemon would have cut them, into files beside the journal. */
import { join } from "node:path";
import { FileSource } from "../journal/file-source.ts";
import { formatSegmentName } from "../journal/segment-name.ts";
import { SegmentWriter } from "../journal/segment-writer.ts";
import { readHeader } from "../ltx/header.ts";
import { type Position, type Txid, toTxid } from "../ltx/position.ts";
import { cutSegment, type SegmentPlan } from "../member/cut-segment.ts";
import { capturedChange } from "../sqlite/captured-change.ts";
import type { PageRun } from "../sqlite/page-run.ts";
import { stageChecksums } from "../sqlite/stage-checksums.ts";
import type { WalFile } from "../sqlite/wal-file.ts";
import { frameOffset, type WalPosition } from "../sqlite/wal-format.ts";
import { samePosition } from "../sqlite/wal-position.ts";
import { scanCommits } from "../sqlite/wal-scan.ts";
import type { JournalEnd } from "./journal-end.ts";
import { SalvageError } from "./salvage-error.ts";
import type { TakenSegment } from "./unshipped-segments.ts";

export interface CutterOptions {
  readonly database: string;
  readonly epoch: number;
  /** Of the lost member's commits. */
  readonly nodeId: bigint;
  /** When the last commit was made, as far as is known; milliseconds since 1970. */
  readonly timestampMs: number;
  readonly maxSegmentBytes: number;
  /** Where the segments go. */
  readonly directory: string;
}

export class RemainsCutter {
  readonly #options: CutterOptions;
  readonly #end: JournalEnd;

  /** @param end moves on with each segment; it has a position. */
  constructor(options: CutterOptions, end: JournalEnd) {
    this.#options = options;
    this.#end = end;
  }

  /** Cuts all commits after `from` to `to`, which is one; every commit is one TXID. */
  async cutWal(wal: WalFile, from: WalPosition, to: WalPosition): Promise<TakenSegment[]> {
    const segments: TakenSegment[] = [];
    for (let at = from; !samePosition(at, to); ) {
      const limits = { maxFrame: to.frame, maxBytes: this.#options.maxSegmentBytes };
      const scanned = scanCommits(wal, at, limits);
      if (scanned.kind === "broken") throw unreadable(wal.path, scanned.reason);
      const change = capturedChange(wal, at, scanned, () => {});
      const { salt1, salt2 } = change.to;
      const place = { offset: change.walOffset, size: change.walSize, salt1, salt2 };
      const run: PageRun = { ...change, pages: () => stageChecksums(this.#end.table, change) };
      segments.push(await this.#cut(run, change.commits, place));
      at = change.to;
    }
    return segments;
  }

  /**
   * Cuts one transaction that leads to the state of `run`, whose iteration stages the checksum of every page that it gives.
   * @param at where in the WAL that state is; null when there is no WAL.
   */
  async cutDifference(run: PageRun, at: WalPosition | null): Promise<TakenSegment> {
    const none = { offset: 0n, size: 0n, salt1: 0, salt2: 0 };
    const place = at === null ? none : { ...none, ...at, offset: BigInt(frameOffset(at.frame + 1, run.pageSize)) };
    return await this.#cut(run, 1, place);
  }

  async #cut(run: PageRun, commits: number, wal: SegmentPlan["wal"]): Promise<TakenSegment> {
    const { database, epoch, nodeId, directory } = this.#options;
    const end = this.#end;
    const before = positionOf(end);
    const minTxid = toTxid(before.txid + 1n);
    const maxTxid = toTxid(before.txid + BigInt(commits));
    // The clock of the lost machine may have been set back.
    const timestampMs = Math.max(this.#options.timestampMs, end.timestampMs);
    const name = formatSegmentName({ minTxid, maxTxid });
    const path = join(directory, name);
    const { pageSize, pageCount } = run;
    const plan: SegmentPlan = {
      ...{ database, epoch, nodeId, kind: "segment", minTxid, maxTxid, pageSize, pageCount, timestampMs, wal },
      preApplyChecksum: before.checksum,
    };
    const contents = { pages: run.pages(), checksum: () => end.table.checksum, onProgress: () => {} };
    const { postApplyChecksum, pages } = await cutSegment(new SegmentWriter(path), contents, plan);
    using source = new FileSource(path);
    end.advance(path, { epoch, txid: maxTxid, checksum: postApplyChecksum }, readHeader(source));
    return { path, name, minTxid, maxTxid, timestampMs, pages };
  }
}

function positionOf(end: JournalEnd): Position & { txid: Txid } {
  if (end.position !== null) return end.position;
  throw new RangeError("nothing can be cut after a journal that has not begun");
}

function unreadable(path: string, reason: string): SalvageError {
  return new SalvageError("SALVAGE_UNREADABLE", `the copy of the WAL cannot be read again: ${reason}`, {
    path,
    hint: "Check this machine's disk, then run the command again.",
  });
}
