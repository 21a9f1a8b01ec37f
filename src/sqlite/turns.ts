import { setImmediate as nextTurn } from "node:timers/promises";

/** Bytes of work between two turns of the event loop: some 10 ms of checksums and writes. */
const BYTES_PER_TURN = 4 * 1024 * 1024;

/** Keeps a long synchronous job from holding up the process: call `spent` in its loop with the bytes just handled. */
export class Turns {
  #bytes = 0;

  /** Gives timers, sockets and signals their turn once some megabytes have been handled since the last time. */
  async spent(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytes < BYTES_PER_TURN) return;
    this.#bytes = 0;
    await nextTurn();
  }
}
