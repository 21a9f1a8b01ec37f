/**
 * The end of the journal while it is followed beyond what the mirror has integrated: its position, the checksum of every page
 * there, and where in the lost member's WAL it lies. Nothing of it is written to the mirror's state.
 */
import { join } from "node:path";
import { FileSource } from "../journal/file-source.ts";
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { formatSegmentPath } from "../journal/segment-name.ts";
import type { StateStore } from "../journal/state-store.ts";
import { isSnapshot, readHeader, type SegmentHeader } from "../ltx/header.ts";
import { formatPosition, NO_CHECKSUM, NO_TXID, type Position, type Txid } from "../ltx/position.ts";
import { SegmentDecoder } from "../ltx/segment-decoder.ts";
import type { ChecksumChunkStore } from "../sqlite/page-checksum-table.ts";
import { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import { Turns } from "../sqlite/turns.ts";
import { FRAME_HEADER_SIZE, WAL_HEADER_SIZE } from "../sqlite/wal-format.ts";
import { SalvageError } from "./salvage-error.ts";
import type { JournalMark } from "./wal-remains.ts";

/** What is known of the journal's end besides its pages. */
interface EndFacts {
  readonly position: Position | null;
  /** Bytes. */
  readonly pageSize: number | null;
  /** Of the last segment. */
  readonly timestampMs: number;
  readonly marks: readonly JournalMark[];
}

export class JournalEnd {
  #table: PageChecksumTable;
  #facts: EndFacts;
  /** Segments that lead here, oldest first; of the mirror's own those that it has not integrated. */
  readonly #paths: string[] = [];

  private constructor(table: PageChecksumTable, facts: EndFacts) {
    this.#table = table;
    this.#facts = facts;
  }

  /**
   * The end of what a mirror has received of a database.
   * @param journal its journal directory.
   * @throws SalvageError SALVAGE_CHECKSUM when its journal does not lead there.
   */
  static async ofMirror(store: StateStore, journal: string, database: string): Promise<JournalEnd> {
    const row = store.database(database);
    const { integrated = null, received = null, pageSize = null } = row ?? {};
    const chunks = readOnly(store.chunkStore(database));
    const table = new PageChecksumTable(chunks, row?.pageCount ?? 0, integrated?.checksum);
    const end = new JournalEnd(table, { position: integrated, pageSize, timestampMs: 0, marks: [] });
    const pathOf = (segment: SegmentRow) => join(journal, formatSegmentPath(segment));
    for (const segment of waiting(store, database, integrated)) {
      if (segment.kind === "segment" && segment.minTxid > end.txid + 1n) continue;
      if (segment.maxTxid > end.txid) await end.apply(pathOf(segment), segment.epoch);
    }
    if (received !== null && end.#describe() !== formatPosition(received)) {
      throw new SalvageError("SALVAGE_CHECKSUM", `this mirror's journal leads to ${end.#describe()}, not to its end`, {
        path: journal,
        hint: "Run `afterimage verify` on this mirror.",
      });
    }
    for (const last of store.catalogue.endingAt(database, end.txid)) {
      if (last.postApplyChecksum === end.position?.checksum) end.note(headerOf(pathOf(last)));
    }
    return end;
  }

  get position(): Position | null {
    return this.#facts.position;
  }

  /** 0 before the first snapshot. */
  get txid(): Txid {
    return this.#facts.position?.txid ?? NO_TXID;
  }

  get pageSize(): number | null {
    return this.#facts.pageSize;
  }

  get timestampMs(): number {
    return this.#facts.timestampMs;
  }

  /** Where in the lost member's WAL it may lie, best known first; all of them name this very position. */
  get marks(): readonly JournalMark[] {
    return this.#facts.marks;
  }

  get table(): PageChecksumTable {
    return this.#table;
  }

  get paths(): readonly string[] {
    return this.#paths;
  }

  /** Goes on to the end of a segment or snapshot that was verified and that chains. @throws SalvageError SALVAGE_CHECKSUM */
  async apply(path: string, epoch: number): Promise<void> {
    using source = new FileSource(path);
    const decoder = new SegmentDecoder(source);
    const { header } = decoder;
    if (isSnapshot(header)) this.#table = new PageChecksumTable(readOnly(NO_CHUNKS));
    const turns = new Turns();
    for (let page = decoder.next(); page !== null; page = decoder.next()) {
      const [high = 0, low = 0] = page.checksum;
      this.#table.set(page.pgno, high, low);
      await turns.spent(header.pageSize);
    }
    this.#table.resize(header.commit);
    const { postApplyChecksum } = decoder.finish();
    const { checksum } = this.#table;
    if (postApplyChecksum !== NO_CHECKSUM && postApplyChecksum !== checksum) {
      throw new SalvageError("SALVAGE_CHECKSUM", "a segment does not lead to the state that it says", {
        path,
        hint: "Run `afterimage verify` on this mirror.",
      });
    }
    this.advance(path, { epoch, txid: header.maxTxid, checksum }, header);
  }

  /** The table stands at `position` by now, after the segment at `path`. */
  advance(path: string, position: Position, header: SegmentHeader): void {
    this.#facts = { position, pageSize: header.pageSize, timestampMs: 0, marks: [] };
    this.#paths.push(path);
    this.note(header);
  }

  /** A segment's header that speaks of this very position. */
  note(header: SegmentHeader): void {
    const mark = markOf(header);
    const marks = mark === null ? this.#facts.marks : [...this.#facts.marks, mark];
    this.#facts = { ...this.#facts, timestampMs: Math.max(this.#facts.timestampMs, header.timestampMs), marks };
  }

  /** A place in the WAL that the lost member's state gives for this very position. */
  noteFirst(mark: JournalMark): void {
    this.#facts = { ...this.#facts, marks: [mark, ...this.#facts.marks] };
  }

  #describe(): string {
    return this.position === null ? "nothing" : formatPosition(this.position);
  }
}

/** Catalogued segments that may lead from what is integrated to what is received, oldest first. */
function waiting(store: StateStore, database: string, integrated: Position | null): SegmentRow[] {
  const epoch = integrated?.epoch ?? store.role()?.epoch ?? 1;
  const from = integrated === null ? store.latestSnapshot(database, epoch)?.maxTxid : ((integrated.txid + 1n) as Txid);
  return store.segments(database, { epoch, fromTxid: from ?? NO_TXID });
}

function headerOf(path: string): SegmentHeader {
  using source = new FileSource(path);
  return readHeader(source);
}

/** Null when the segment does not say where in the WAL it ended: merged ones do not. */
function markOf({ walOffset, walSize, walSalt1, walSalt2, pageSize }: SegmentHeader): JournalMark | null {
  if (walOffset === 0n) return null;
  const frame = (Number(walOffset + walSize) - WAL_HEADER_SIZE) / (FRAME_HEADER_SIZE + pageSize);
  if (!Number.isInteger(frame)) return null;
  return { salt1: walSalt1, salt2: walSalt2, frame, checksum1: null, checksum2: null };
}

const NO_CHUNKS = { readChunk: () => null };

function readOnly({ readChunk }: Pick<ChecksumChunkStore, "readChunk">): ChecksumChunkStore {
  const refuse = () => {
    throw new Error("the mirror's page checksums are only read here");
  };
  return { readChunk, writeChunk: refuse, deleteChunksFrom: refuse };
}
