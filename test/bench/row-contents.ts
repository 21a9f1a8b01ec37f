/** Contents for rows of about a page: half of it words, which compress to a third, and half noise, which does not compress. */
import { randomFillSync } from "node:crypto";

const POOL_BYTES = 4 * 1024 * 1024;
const HALF_BYTES = 1_700;
const WORDS =
  "patient visit seen with a fever since three days and given amoxicillin twice daily until Friday no allergy known".split(
    " ",
  );

export class RowContents {
  readonly #words = Buffer.alloc(POOL_BYTES);
  readonly #noise = randomFillSync(Buffer.alloc(POOL_BYTES));

  constructor() {
    for (let at = 0, i = 0; at < POOL_BYTES; i += 4) {
      const word = WORDS[this.#noise.readUInt32LE(i) % WORDS.length] ?? "";
      at += this.#words.write(`${word}${this.#noise[i + 1]} `, at);
    }
  }

  /** Another row at every call, of 3,400 bytes. */
  next(): Buffer {
    const [a = 0, b = 0] = randomFillSync(new Uint32Array(2));
    const last = POOL_BYTES - HALF_BYTES;
    return Buffer.concat([
      this.#words.subarray(a % last, (a % last) + HALF_BYTES),
      this.#noise.subarray(b % last, (b % last) + HALF_BYTES),
    ]);
  }
}
