/**
 * A reused buffer that slides over a source, so that reading a segment of any size costs the same memory. Bytes are asked
 * for before they are looked at; the end of the file can therefore only appear as SEGMENT_TRUNCATED.
 */
import type { ByteSource } from "./byte-io.ts";
import { SegmentError } from "./segment-error.ts";

/** Holds several page frames of the largest page size, and makes reads large enough for disks. */
const WINDOW_BYTES = 256 * 1024;

export class ByteWindow {
  /** The buffer; what was asked for last begins at {@link start}. Only valid until the next {@link require}. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #source: ByteSource;
  readonly #size: number;
  #start = 0;
  #end = 0;
  #position = 0;

  constructor(source: ByteSource, windowBytes = WINDOW_BYTES) {
    this.#source = source;
    this.#size = source.size;
    this.bytes = new Uint8Array(Math.max(0, Math.min(windowBytes, this.#size)));
    this.view = new DataView(this.bytes.buffer);
  }

  /** Index in {@link bytes} of the first byte that was not consumed. */
  get start(): number {
    return this.#start;
  }

  /** The same byte's offset in the file. */
  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#size - this.#position;
  }

  /**
   * Makes `count` bytes available at the returned index of {@link bytes}. `count` is at most the window's size.
   * @throws SegmentError SEGMENT_TRUNCATED when the file ends before; `what` names the section.
   */
  require(count: number, what: string): number {
    if (this.#end - this.#start < count) {
      if (this.remaining < count) throw this.#truncated(count, what);
      this.#refill(count, what);
    }
    return this.#start;
  }

  consume(count: number): void {
    this.#start += count;
    this.#position += count;
  }

  /** As {@link require} and {@link consume} of any number of bytes, which are not looked at. */
  skip(count: number, what: string): void {
    if (this.remaining < count) throw this.#truncated(count, what);
    this.#start = Math.min(this.#start + count, this.#end);
    this.#position += count;
    if (this.#start === this.#end) this.#start = this.#end = 0;
  }

  #refill(count: number, what: string): void {
    this.bytes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    while (this.#end < count) {
      const at = this.#position + this.#end;
      const room = Math.min(this.bytes.length - this.#end, this.#size - at);
      const read = this.#source.read(this.bytes.subarray(this.#end, this.#end + room), at);
      // The file may have become shorter since its size was taken; that must not become an endless loop.
      if (!(read > 0 && read <= room)) throw this.#truncated(count, what);
      this.#end += read;
    }
  }

  #truncated(count: number, what: string): SegmentError {
    return new SegmentError("SEGMENT_TRUNCATED", `the file ends inside the ${what}: ${count} bytes expected`, {
      offset: this.#position,
      path: this.#source.path,
    });
  }
}
