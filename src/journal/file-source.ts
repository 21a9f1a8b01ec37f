import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { ByteSource } from "../ltx/byte-io.ts";

/**
 * A file that is read at any position. The size is that of the moment of opening. Never for a live SQLite database:
 * closing any descriptor of one drops the locks of this process (sqlite.org/howtocorrupt, section 2.2).
 */
export class FileSource implements ByteSource, Disposable {
  readonly path: string;
  readonly size: number;
  #fd: number | null;

  /** A symbolic link is refused (ELOOP): others write where received files lie. */
  constructor(path: string) {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    this.path = path;
    this.size = fstatSync(fd).size;
    this.#fd = fd;
  }

  read(target: Uint8Array, position: number): number {
    if (this.#fd === null) throw new Error(`read of a closed file: ${this.path}`);
    let done = 0;
    while (done < target.length) {
      const count = readSync(this.#fd, target, done, target.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
