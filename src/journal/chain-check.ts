/**
 * Whether the catalogue's segments follow one another without a gap, and whether their files are there.
 * It looks at names, sizes and the catalogued checksums; the contents of files are for src/ltx/verify-segment.ts.
 */
import { lstatSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { formatTxid, type Txid, toTxid } from "../ltx/position.ts";
import type { SegmentCatalogue, SegmentRow } from "./segment-catalogue.ts";
import { formatSegmentPath } from "./segment-name.ts";

export type ChainFault =
  /** TXIDs are missing before the segment. */
  | "gap"
  /** The segment ends where the one before it ends. */
  | "overlap"
  /** The segment does not begin with the state that the one before it ends with. */
  | "checksum"
  | "file-missing"
  | "file-size";

export interface ChainProblem {
  readonly fault: ChainFault;
  readonly segment: SegmentRow;
  /** One sentence, with the file's path below the journal directory. */
  readonly message: string;
}

/** Rows looked at before other work has its turn. */
const ROWS_PER_TURN = 500;

/**
 * Checks one database, oldest first. An empty result means that all is well.
 *
 * Within an epoch each segment continues the one before it or a snapshot. The first segment of a later epoch continues
 * some segment of an earlier one: a promotion may leave the end of the earlier epoch behind.
 */
export async function checkChain(
  catalogue: SegmentCatalogue,
  database: string,
  filePath: (row: SegmentRow) => string,
): Promise<ChainProblem[]> {
  const chain = new Chain(catalogue);
  const problems: ChainProblem[] = [];
  for await (const row of rowsInTurns(catalogue, database)) {
    for (const fault of [chain.follow(row), fileFault(row, filePath(row))]) {
      if (fault !== null) problems.push({ ...fault, segment: row });
    }
  }
  return problems;
}

type Fault = Omit<ChainProblem, "segment">;

/** The rows that the next one may continue. Snapshots are few; of the segments only the last one is kept. */
class Chain {
  readonly #catalogue: SegmentCatalogue;
  #last: SegmentRow | null = null;
  #segment: SegmentRow | null = null;
  #snapshots: SegmentRow[] = [];

  constructor(catalogue: SegmentCatalogue) {
    this.#catalogue = catalogue;
  }

  follow(row: SegmentRow): Fault | null {
    if (row.epoch !== this.#last?.epoch) {
      this.#segment = null;
      this.#snapshots = [];
    }
    const fault = this.#twinFault(row) ?? (row.kind === "segment" ? this.#segmentFault(row) : null);
    if (row.kind === "segment") this.#segment = row;
    else this.#snapshots.push(row);
    this.#last = row;
    return fault;
  }

  #ends(): SegmentRow[] {
    return this.#segment === null ? this.#snapshots : [this.#segment, ...this.#snapshots];
  }

  /** A segment and a snapshot that end at one TXID hold one state. */
  #twinFault(row: SegmentRow): Fault | null {
    const twin = this.#ends().find((end) => end.maxTxid === row.maxTxid);
    if (twin === undefined || twin.postApplyChecksum === row.postApplyChecksum) return null;
    const message = `${formatSegmentPath(row)} ends with another state than ${formatSegmentPath(twin)}`;
    return { fault: "checksum", message };
  }

  #segmentFault(row: SegmentRow): Fault | null {
    const last = this.#last;
    // What was before the oldest segment has been purged.
    if (last === null) return null;
    const at = `${formatSegmentPath(row)} follows ${formatSegmentPath(this.#segment ?? last)}`;
    if (this.#segment?.maxTxid === row.maxTxid) return { fault: "overlap", message: `${at}: they end together` };
    // Its pages are those of its end, whatever state it is applied to; that end was proved when it was integrated.
    if (this.#segment !== null && row.minTxid <= this.#segment.maxTxid) return null;
    const before = toTxid(row.minTxid - 1n);
    const predecessors = this.#predecessors(row, before);
    if (predecessors.length === 0) {
      return { fault: "gap", message: `${at}: nothing ends with TXID ${formatTxid(before)}` };
    }
    if (predecessors.some((end) => end.postApplyChecksum === row.preApplyChecksum)) return null;
    return { fault: "checksum", message: `${at}: it does not begin with the state at TXID ${formatTxid(before)}` };
  }

  #predecessors(row: SegmentRow, txid: Txid): SegmentRow[] {
    const inEpoch = this.#ends().filter((end) => end.maxTxid === txid);
    if (inEpoch.length > 0 || this.#segment !== null) return inEpoch;
    return this.#catalogue.endingAt(row.database, txid).filter((end) => end.epoch < row.epoch);
  }
}

async function* rowsInTurns(catalogue: SegmentCatalogue, database: string): AsyncGenerator<SegmentRow> {
  let after: SegmentRow | null = null;
  for (;;) {
    const rows: SegmentRow[] = catalogue.listAfter(database, after, ROWS_PER_TURN);
    yield* rows;
    if (rows.length < ROWS_PER_TURN) return;
    after = rows.at(-1) ?? null;
    await nextTurn();
  }
}

function fileFault(row: SegmentRow, path: string): Fault | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) {
    return { fault: "file-missing", message: `${formatSegmentPath(row)} is missing` };
  }
  if (stat.size === row.bytes) return null;
  return { fault: "file-size", message: `${formatSegmentPath(row)} has ${stat.size} bytes, not ${row.bytes}` };
}
