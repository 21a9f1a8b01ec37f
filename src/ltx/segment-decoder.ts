/**
 * Reads one segment and trusts nothing in it.
 *
 * Guarantee: a segment whose {@link SegmentDecoder.finish} returned is complete and intact: pages ascend, none is beyond the
 * database's size or the lock-byte page, the index describes the frames, nothing follows the trailer, and the checksums
 * match; a snapshot holds every page. Pages are handed out before that is known, so what is done with them must be undone
 * when a later call throws. Whatever the bytes are, the outcome is that or a SegmentError, in time and memory that are
 * bounded by the file's size. Errors of the source itself are passed on.
 *
 * Memory: a window of at most 256 KiB, one page, and about three bytes a page to check the index with.
 */
import type { ByteSource } from "./byte-io.ts";
import { ByteWindow } from "./byte-window.ts";
import { decodeHeader, HEADER_SIZE, isSnapshot, type SegmentHeader, tracksChecksums } from "./header.ts";
import { decompressBlock, lz4Bound } from "./lz4.ts";
import { readLz4Frame } from "./lz4-frame.ts";
import type { ChecksumHalves } from "./page-checksum.ts";
import { PAGE_FLAG_SIZE, PAGE_HEADER_SIZE, PAGE_HEADER_WITH_SIZE } from "./page-frame.ts";
import { INDEX_SIZE_FIELD, PageIndex } from "./page-index.ts";
import { PageOrder } from "./page-order.ts";
import { formatChecksum } from "./position.ts";
import { SegmentChecksum } from "./segment-checksum.ts";
import { SegmentError, type SegmentErrorCode } from "./segment-error.ts";
import { decodeTrailer, postApplyFault, type SegmentTrailer, TRAILER_COVERED, TRAILER_SIZE } from "./trailer.ts";

/** One page; the object and what it refers to are used again for the next one. */
export interface SegmentPage {
  readonly pgno: number;
  /** The whole page. */
  readonly data: Uint8Array;
  /** The page's checksum, as [high, low]. */
  readonly checksum: ChecksumHalves;
}

export type { SegmentTrailer };

/** For many decoders side by side. */
export interface DecoderMemory {
  /** How much of the file is held at a time; 256 KiB when not given. */
  readonly windowBytes?: number;
  /** Where a page of this size is put: another decoder's page is valid no longer then. Its own when not given. */
  readonly page?: Uint8Array;
}

/** `page`: the header of a page was read, and its data lies ahead. */
type DecoderState = "pages" | "page" | "trailer" | "finished" | "failed";

export class SegmentDecoder {
  readonly header: SegmentHeader;
  readonly #path: string | undefined;
  readonly #window: ByteWindow;
  readonly #order: PageOrder;
  readonly #checksum: SegmentChecksum;
  readonly #index = new PageIndex(HEADER_SIZE);
  readonly #page: { pgno: number; data: Uint8Array; checksum: ChecksumHalves };
  #state: DecoderState = "pages";
  /** Where the frame of the page at hand begins. */
  #frameStart = 0;
  /** Of the data in it; null when only reading them tells it. */
  #dataSize: number | null = null;
  #isWhole = true;

  /** Reads the header. @throws SegmentError SEGMENT_TRUNCATED, SEGMENT_MAGIC or SEGMENT_HEADER. */
  constructor(source: ByteSource, { windowBytes, page }: DecoderMemory = {}) {
    this.#path = source.path;
    this.#window = new ByteWindow(source, windowBytes);
    const at = this.#window.require(HEADER_SIZE, "header");
    this.header = decodeHeader(this.#window.bytes.subarray(at, at + HEADER_SIZE), source.path);
    this.#order = new PageOrder(this.header);
    this.#checksum = new SegmentChecksum(this.header.pageSize);
    const { pageSize } = this.header;
    const data = page?.length === pageSize ? page : new Uint8Array(pageSize);
    this.#page = { pgno: 0, data, checksum: this.#checksum.page };
    this.#take(HEADER_SIZE);
  }

  /**
   * The next page, or null after the last one, and on every later call. The page is valid until the next call.
   * @throws SegmentError; the decoder is of no more use then.
   */
  next(): SegmentPage | null {
    return this.advance() === null ? null : this.read();
  }

  /**
   * Goes to the next page and gives its number; null after the last one. The page before it is passed over when it was not
   * {@link read}: its data is not looked at then, and {@link finish} can no longer be called. @throws SegmentError as {@link next}
   */
  advance(): number | null {
    if (this.#state === "trailer" || this.#state === "finished") return null;
    if (this.#state === "page") this.#passOver();
    this.#expect("pages");
    // Set first: whatever is thrown below leaves the decoder unusable.
    this.#state = "failed";
    const more = this.#readPageHeader();
    this.#state = more ? "page" : "trailer";
    return more ? this.#page.pgno : null;
  }

  /** The page that {@link advance} has come to. @throws SegmentError as {@link next} */
  read(): SegmentPage {
    this.#expect("page");
    this.#state = "failed";
    this.#readData();
    this.#state = "pages";
    return this.#page;
  }

  /**
   * Checks the index, the trailer and every checksum. To be called once, after {@link next} has returned null.
   * @throws SegmentError
   */
  finish(): SegmentTrailer {
    this.#expect("trailer");
    if (!this.#isWhole) throw this.#error("SEGMENT_USAGE", "pages of the segment were passed over");
    this.#state = "failed";
    this.#readIndex();
    const trailer = this.#readTrailer();
    this.#state = "finished";
    return trailer;
  }

  /** Reads the header of a page frame; false when it is the one that ends the page block. */
  #readPageHeader(): boolean {
    const start = this.#window.position;
    const at = this.#window.require(PAGE_HEADER_SIZE, "page header");
    const pgno = this.#window.view.getUint32(at);
    const flags = this.#window.view.getUint16(at + 4);
    if (pgno === 0 && flags === 0) {
      this.#take(PAGE_HEADER_SIZE);
      return false;
    }
    if ((flags & ~PAGE_FLAG_SIZE) !== 0) throw this.#error("SEGMENT_PAGE_FLAGS", `page ${pgno} has flags ${flags}`);
    const fault = this.#order.fault(this.#index.lastPgno, pgno);
    if (fault !== null) throw this.#error(fault.code, fault.message);
    this.#page.pgno = pgno;
    this.#frameStart = start;
    this.#dataSize = flags === PAGE_FLAG_SIZE ? this.#readSize(pgno) : null;
    if (this.#dataSize === null) this.#take(PAGE_HEADER_SIZE);
    return true;
  }

  #readSize(pgno: number): number {
    const head = this.#window.require(PAGE_HEADER_WITH_SIZE, "page header");
    const size = this.#window.view.getUint32(head + PAGE_HEADER_SIZE);
    if (size === 0 || size > lz4Bound(this.header.pageSize)) {
      throw this.#error("SEGMENT_COMPRESSION", `page ${pgno} has ${size} bytes of compressed data`);
    }
    this.#take(PAGE_HEADER_WITH_SIZE);
    return size;
  }

  #readData(): void {
    const { pgno, data } = this.#page;
    if (this.#dataSize === null) this.#readFrameWithoutSize(pgno);
    else this.#readBlock(pgno, this.#dataSize);
    this.#checksum.addPage(pgno, data);
    this.#index.add(pgno, this.#window.position - this.#frameStart);
  }

  #passOver(): void {
    this.#isWhole = false;
    this.#state = "failed";
    const { pgno } = this.#page;
    if (this.#dataSize === null) this.#readFrameWithoutSize(pgno);
    else this.#window.skip(this.#dataSize, "data of a page");
    this.#index.add(pgno, this.#window.position - this.#frameStart);
    this.#state = "pages";
  }

  #readBlock(pgno: number, size: number): void {
    const { data } = this.#page;
    const at = this.#window.require(size, "data of a page");
    if (decompressBlock(this.#window.bytes, at, at + size, data) !== data.length) {
      throw this.#error("SEGMENT_COMPRESSION", `the compressed data of page ${pgno} is not of one page`);
    }
    this.#window.consume(size);
  }

  #readFrameWithoutSize(pgno: number): void {
    const fault = readLz4Frame(this.#window, this.#page.data);
    if (fault !== null) throw this.#error("SEGMENT_COMPRESSION", `page ${pgno}: ${fault}`);
  }

  #readIndex(): void {
    const start = this.#window.position;
    this.#index.forEachEncoded((bytes, length) => {
      const at = this.#window.require(length, "page index");
      for (let i = 0; i < length; i++) {
        if (bytes[i] !== this.#window.bytes[at + i]) throw this.#indexError("an entry differs from its page frame");
      }
      this.#take(length);
    });
    if (this.#window.bytes[this.#window.require(1, "page index")] !== 0) {
      throw this.#indexError("there are more entries than page frames");
    }
    this.#take(1);
    const size = this.#window.position - start;
    const found = this.#window.view.getBigUint64(this.#window.require(INDEX_SIZE_FIELD, "page index"));
    if (found !== BigInt(size)) throw this.#indexError(`its size is given as ${found}, not ${size}`);
    this.#take(INDEX_SIZE_FIELD);
  }

  #readTrailer(): SegmentTrailer {
    const at = this.#window.require(TRAILER_SIZE, "trailer");
    const { postApplyChecksum, fileChecksum } = decodeTrailer(this.#window.view, at);
    this.#take(TRAILER_COVERED);
    const covered = this.#checksum.file;
    this.#window.consume(TRAILER_SIZE - TRAILER_COVERED);
    if (this.#window.remaining > 0) {
      throw this.#error("SEGMENT_TRAILING_BYTES", `${this.#window.remaining} bytes follow the trailer`);
    }
    if (fileChecksum !== covered) {
      const message = `the file checksum is ${formatChecksum(covered)}, not ${formatChecksum(fileChecksum)} as stored`;
      throw this.#error("SEGMENT_CHECKSUM", message);
    }
    const trailer = { postApplyChecksum, fileChecksum, pages: this.#index.pages, bytes: this.#window.position };
    this.#checkMeaning(trailer);
    return trailer;
  }

  /** What an intact file may still have wrong: it was then written wrongly. */
  #checkMeaning({ postApplyChecksum }: SegmentTrailer): void {
    const trailerFault = postApplyFault(this.header, postApplyChecksum);
    if (trailerFault !== null) throw this.#error("SEGMENT_TRAILER", trailerFault);
    const pageFault = this.#order.endFault(this.#index.lastPgno);
    if (pageFault !== null) throw this.#error(pageFault.code, pageFault.message);
    const database = this.#checksum.database;
    if (isSnapshot(this.header) && tracksChecksums(this.header) && database !== postApplyChecksum) {
      const message = `the pages have database checksum ${formatChecksum(database)}, not ${formatChecksum(postApplyChecksum)}`;
      throw this.#error("SEGMENT_DATABASE_CHECKSUM", message);
    }
  }

  /** Consumes bytes that were required, and that the file checksum covers as they stand. */
  #take(count: number): void {
    const at = this.#window.start;
    this.#checksum.addBytes(this.#window.bytes, at, at + count);
    this.#window.consume(count);
  }

  #expect(state: DecoderState): void {
    if (this.#state === state) return;
    throw this.#error("SEGMENT_USAGE", `the segment's decoder is at "${this.#state}", not at "${state}"`);
  }

  #indexError(message: string): SegmentError {
    return this.#error("SEGMENT_INDEX", `the page index is wrong: ${message}`);
  }

  #error(code: SegmentErrorCode, message: string): SegmentError {
    return new SegmentError(code, message, { offset: this.#window.position, path: this.#path });
  }
}
