/**
 * Writes one segment: header, page frames, page index, trailer, in one pass.
 *
 * Memory: one output buffer of 128 KiB at most and about three bytes a page for the index. What is written is a valid segment
 * only after {@link SegmentEncoder.finish}; a half-written one lacks its trailer and is refused by every decoder.
 */
import type { ByteSink } from "./byte-io.ts";
import { encodeHeader, isSnapshot, type SegmentHeader, tracksChecksums } from "./header.ts";
import { compressBlock, lz4Bound } from "./lz4.ts";
import type { ChecksumHalves } from "./page-checksum.ts";
import { PAGE_FLAG_SIZE, PAGE_HEADER_SIZE, PAGE_HEADER_WITH_SIZE } from "./page-frame.ts";
import { INDEX_SIZE_FIELD, PageIndex } from "./page-index.ts";
import { PageOrder } from "./page-order.ts";
import { type Checksum, formatChecksum } from "./position.ts";
import { SegmentChecksum } from "./segment-checksum.ts";
import { SegmentError } from "./segment-error.ts";
import {
  encodeFileChecksum,
  encodePostApplyChecksum,
  postApplyFault,
  type SegmentTrailer,
  TRAILER_COVERED,
  TRAILER_SIZE,
} from "./trailer.ts";

/** Holds the largest page frame, and makes writes large enough for disks. */
const OUTPUT_BYTES = 128 * 1024;
/** Most segments are small, and many databases cut one many times a second. */
const FIRST_OUTPUT_BYTES = 8 * 1024;

type EncoderState = "pages" | "finished" | "failed";

export class SegmentEncoder {
  readonly #sink: ByteSink;
  readonly #header: SegmentHeader;
  readonly #order: PageOrder;
  readonly #checksum: SegmentChecksum;
  readonly #index: PageIndex;
  #output = new Uint8Array(FIRST_OUTPUT_BYTES);
  #view = new DataView(this.#output.buffer);
  #used = 0;
  #written = 0;
  #state: EncoderState = "pages";

  /** @throws SegmentError SEGMENT_HEADER when `header` breaks a rule of the format. */
  constructor(sink: ByteSink, header: SegmentHeader) {
    const bytes = encodeHeader(header);
    this.#sink = sink;
    this.#header = header;
    this.#order = new PageOrder(header);
    this.#checksum = new SegmentChecksum(header.pageSize);
    this.#index = new PageIndex(bytes.length);
    this.#appendCovered(bytes, bytes.length);
  }

  /** Checksum of the page written last, as [high, low]; overwritten by the next one. */
  get pageChecksum(): ChecksumHalves {
    return this.#checksum.page;
  }

  /** Database checksum of a database that has just the pages written so far: that of a snapshot, after its last page. */
  get pagesChecksum(): Checksum {
    return this.#checksum.database;
  }

  /** Bytes of the segment so far. */
  get bytes(): number {
    return this.#written + this.#used;
  }

  /**
   * Adds a page; pages ascend. `data` is the whole page and is not kept.
   * @throws SegmentError for a page that may not come next: SEGMENT_PAGE_NUMBER, SEGMENT_PAGE_ORDER, SEGMENT_LOCK_PAGE,
   *   SEGMENT_SNAPSHOT_INCOMPLETE; SEGMENT_USAGE for a wrong length or after the end.
   */
  writePage(pgno: number, data: Uint8Array): void {
    this.#expectPages();
    if (data.length !== this.#header.pageSize) {
      throw new SegmentError("SEGMENT_USAGE", `page ${pgno} has ${data.length} bytes, not ${this.#header.pageSize}`);
    }
    const fault = this.#order.fault(this.#index.lastPgno, pgno);
    if (fault !== null) throw new SegmentError(fault.code, fault.message);

    this.#reserve(PAGE_HEADER_WITH_SIZE + lz4Bound(data.length));
    const at = this.#used;
    const end = compressBlock(data, this.#output, at + PAGE_HEADER_WITH_SIZE);
    this.#view.setUint32(at, pgno);
    this.#view.setUint16(at + 4, PAGE_FLAG_SIZE);
    this.#view.setUint32(at + PAGE_HEADER_SIZE, end - at - PAGE_HEADER_WITH_SIZE);
    this.#used = end;
    this.#checksum.addBytes(this.#output, at, at + PAGE_HEADER_WITH_SIZE);
    this.#checksum.addPage(pgno, data);
    this.#index.add(pgno, end - at);
  }

  /**
   * Writes the index and the trailer, and hands everything to the sink. `postApplyChecksum` is the database's checksum
   * after the segment, 0 where the header says that checksums are not tracked.
   * @throws SegmentError SEGMENT_TRAILER for a malformed checksum, SEGMENT_SNAPSHOT_INCOMPLETE, and
   *   SEGMENT_DATABASE_CHECKSUM when the pages of a snapshot have another one.
   */
  finish(postApplyChecksum: Checksum): SegmentTrailer {
    this.#expectPages();
    this.#checkEnd(postApplyChecksum);
    this.#state = "failed";
    this.#appendCovered(new Uint8Array(PAGE_HEADER_SIZE), PAGE_HEADER_SIZE);
    this.#writeIndex();

    this.#reserve(TRAILER_SIZE);
    const at = this.#used;
    encodePostApplyChecksum(this.#view, at, postApplyChecksum);
    this.#checksum.addBytes(this.#output, at, at + TRAILER_COVERED);
    const fileChecksum = this.#checksum.file;
    encodeFileChecksum(this.#view, at, fileChecksum);
    this.#used += TRAILER_SIZE;
    this.#flush();
    this.#state = "finished";
    return { postApplyChecksum, fileChecksum, pages: this.#index.pages, bytes: this.#written };
  }

  #checkEnd(postApplyChecksum: Checksum): void {
    const trailerFault = postApplyFault(this.#header, postApplyChecksum);
    if (trailerFault !== null) throw new SegmentError("SEGMENT_TRAILER", trailerFault);
    const fault = this.#order.endFault(this.#index.lastPgno);
    if (fault !== null) throw new SegmentError(fault.code, fault.message);
    if (isSnapshot(this.#header) && tracksChecksums(this.#header) && this.pagesChecksum !== postApplyChecksum) {
      const found = formatChecksum(this.pagesChecksum);
      const message = `the snapshot's pages have checksum ${found}, not ${formatChecksum(postApplyChecksum)}`;
      throw new SegmentError("SEGMENT_DATABASE_CHECKSUM", message);
    }
  }

  #writeIndex(): void {
    const start = this.bytes;
    this.#index.forEachEncoded((bytes, length) => {
      this.#appendCovered(bytes, length);
    });
    this.#appendCovered(new Uint8Array(1), 1);
    const size = new Uint8Array(INDEX_SIZE_FIELD);
    new DataView(size.buffer).setBigUint64(0, BigInt(this.bytes - start));
    this.#appendCovered(size, size.length);
  }

  /** Appends `bytes[0..length)`, which the file checksum covers as they stand. */
  #appendCovered(bytes: Uint8Array, length: number): void {
    this.#reserve(length);
    for (let i = 0; i < length; i++) this.#output[this.#used + i] = bytes[i] as number;
    this.#checksum.addBytes(bytes, 0, length);
    this.#used += length;
  }

  /** Makes room for `count` bytes. */
  #reserve(count: number): void {
    if (OUTPUT_BYTES - this.#used < count) this.#flush();
    if (this.#output.length - this.#used < count) this.#grow(this.#used + count);
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.min(OUTPUT_BYTES, Math.max(needed, 2 * this.#output.length)));
    larger.set(this.#output.subarray(0, this.#used));
    this.#output = larger;
    this.#view = new DataView(larger.buffer);
  }

  #flush(): void {
    const used = this.#used;
    const state = this.#state;
    // A sink that fails half-way leaves an unknown number of bytes behind: nothing may follow them.
    this.#state = "failed";
    this.#sink.write(this.#output.subarray(0, used));
    this.#state = state;
    this.#written += used;
    this.#used = 0;
  }

  #expectPages(): void {
    if (this.#state === "pages") return;
    throw new SegmentError("SEGMENT_USAGE", `the segment's encoder is ${this.#state}`);
  }
}
