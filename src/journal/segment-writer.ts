import { closeSync, fdatasyncSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fsyncDirectory, makeDirectory, removeFile } from "../durable-files.ts";
import type { ByteSink } from "../ltx/byte-io.ts";
import { journalError } from "./journal-error.ts";

/** Written bytes are synced in portions, so that the last fsync of a large segment does not stall the daemon. */
const SYNC_EVERY_BYTES = 32 * 1024 * 1024;

type WriterState = "writing" | "committed" | "aborted";

/**
 * One journal file while it is written, as `.<name>.part`. `commit` makes it durable under its name; without it the file
 * never appears. Every method is synchronous and may throw JournalError JOURNAL_FULL or JOURNAL_IO.
 */
export class SegmentWriter implements ByteSink, Disposable {
  readonly path: string;
  readonly #part: string;
  readonly #fd: number;
  #state: WriterState = "writing";
  #written = 0;
  #unsynced = 0;

  /** Makes the directory when it is missing, and replaces a part file that an earlier crash left. */
  constructor(path: string) {
    this.path = path;
    this.#part = join(dirname(path), `.${basename(path)}.part`);
    this.#fd = attempt(path, "create journal file", () => {
      makeDirectory(dirname(path));
      return openSync(this.#part, "w");
    });
  }

  /** Bytes taken so far. */
  get bytes(): number {
    return this.#written;
  }

  /** One system call for each call: the encoder hands over large pieces. */
  write(bytes: Uint8Array): void {
    this.#assertWriting();
    attempt(this.path, "write journal file", () => {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
      this.#written += bytes.length;
      this.#unsynced += bytes.length;
      if (this.#unsynced < SYNC_EVERY_BYTES) return;
      fdatasyncSync(this.#fd);
      this.#unsynced = 0;
    });
  }

  /** Makes the file durable under its name; a file of that name that is no part of the catalogue is replaced. */
  commit(): void {
    this.#assertWriting();
    attempt(this.path, "make journal file durable", () => {
      fsyncSync(this.#fd);
      renameSync(this.#part, this.path);
      fsyncDirectory(dirname(this.path));
    });
    this.#state = "committed";
    closeSync(this.#fd);
  }

  /** Removes what was written. After `commit`, or a second time, it does nothing. */
  abort(): void {
    if (this.#state !== "writing") return;
    this.#state = "aborted";
    closeSync(this.#fd);
    attempt(this.path, "remove part file", () => removeFile(this.#part));
  }

  [Symbol.dispose](): void {
    this.abort();
  }

  #assertWriting(): void {
    if (this.#state !== "writing") throw new Error(`journal file is ${this.#state}: ${this.path}`);
  }
}

function attempt<T>(path: string, step: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw journalError(error, step, path);
  }
}
