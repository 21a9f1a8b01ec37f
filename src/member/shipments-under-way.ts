/**
 * Files on their way into one mailbox, several at once: on a long way most of the time of a small file is spent waiting for
 * answers.
 *
 * Guarantee: they count as put in the order in which they were begun, and none after one that failed.
 */

/** So many small files at once keep a way of a fifth of a second busy, with a segment every 50 ms. */
export const FILES_UNDER_WAY = 16;
/** Beyond this a file's contents take longer than the answers that are waited for. */
const BYTES = 4 * 1024 * 1024;

/** A file that is being put. */
interface FileUnderWay {
  readonly database: string;
  readonly bytes: number;
}

export class ShipmentsUnderWay {
  readonly #onEnd: () => void;
  readonly #files = new Set<FileUnderWay>();
  /** Ends with all that was begun; never rejects. */
  #last: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;
  #isProven = false;

  /** @param onEnd called whenever something has ended, one way or the other. */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  get isEmpty(): boolean {
    return this.#files.size === 0;
  }

  /** The one that was begun first of those that are not put yet. */
  get oldest(): FileUnderWay | null {
    const [oldest = null] = this.#files;
    return oldest;
  }

  /** Whether something was put since the last failure. */
  get isProven(): boolean {
    return this.#isProven;
  }

  /** Of all of them. */
  get bytes(): number {
    return [...this.#files].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Whether another file may be begun now. */
  hasRoomFor(bytes: number): boolean {
    return this.isEmpty || (this.#files.size < FILES_UNDER_WAY && this.bytes + bytes <= BYTES);
  }

  /**
   * Begins to put a file.
   * @param whenPut called once it and all before it are put.
   */
  begin(file: FileUnderWay, put: () => Promise<void>, whenPut = () => {}): void {
    this.#files.add(file);
    const before = this.#last;
    const own = put();
    this.#last = this.#followed(own, async () => {
      await before;
      try {
        await own;
      } finally {
        this.#files.delete(file);
      }
      if (this.#failure !== null) return;
      this.#isProven = true;
      whenPut();
    });
  }

  /** Other work with the mailbox: that it failed is found as if a file had failed. */
  watch(work: Promise<void>): void {
    this.#followed(work, () => work);
  }

  /** @throws what something failed with. */
  assertSound(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Resolves when nothing is under way any more. @throws what something failed with. */
  async drained(): Promise<void> {
    await this.#last;
    this.assertSound();
  }

  /** As {@link drained}, and forgets what failed. */
  async forget(): Promise<void> {
    await this.#last;
    this.#failure = null;
    this.#isProven = false;
  }

  async #followed(work: Promise<void>, end: () => Promise<void>): Promise<void> {
    // It is awaited in its turn; until then it must not count as unhandled.
    work.catch(() => undefined);
    try {
      await end();
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#onEnd();
    }
  }
}
