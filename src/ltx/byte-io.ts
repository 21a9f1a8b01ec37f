/** Where segment bytes come from and go to. Both sides are synchronous; the codec keeps no reference to bytes it was lent. */

export interface ByteSink {
  /** Takes `bytes` in before it returns: the caller overwrites them afterwards. An error is passed on by the encoder. */
  write(bytes: Uint8Array): void;
}

export interface ByteSource {
  /** Length in bytes, fixed while it is read. */
  readonly size: number;
  /** The file behind it, for error messages. */
  readonly path?: string;
  /**
   * Fills `target` from byte `position` and returns how many bytes it wrote: fewer than `target.length` only at the end.
   * An error is passed on by the decoder.
   */
  read(target: Uint8Array, position: number): number;
}

/** A segment that is wholly in memory. */
export class MemorySource implements ByteSource {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(target: Uint8Array, position: number): number {
    const found = this.#bytes.subarray(position, position + target.length);
    target.set(found);
    return found.length;
  }
}
