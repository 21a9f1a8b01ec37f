/** Reads the `-wal` file. SQLite keeps no locks on it, so unlike the database it may be opened and closed at any time. */
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { DatabaseError } from "./database-error.ts";
import { readFully } from "./database-files.ts";
import {
  decodeFrameHeader,
  decodeWalHeader,
  FRAME_HEADER_SIZE,
  type FrameHeader,
  frameOffset,
  isBigEndianWal,
  WAL_HEADER_SIZE,
  type WalHeader,
} from "./wal-format.ts";

export class WalFile {
  readonly path: string;
  readonly pageSize: number;
  /** Bytes of a frame: its header and its page. */
  readonly frameSize: number;
  #fd: number | null = null;

  constructor(path: string, pageSize: number) {
    this.path = path;
    this.pageSize = pageSize;
    this.frameSize = FRAME_HEADER_SIZE + pageSize;
  }

  /** The header; null when the file has none that is valid. @throws DatabaseError WAL_BIG_ENDIAN, DATABASE_PAGE_SIZE */
  readHeader(): WalHeader | null {
    const bytes = new Uint8Array(WAL_HEADER_SIZE);
    if (readFully(this.#open(), bytes, 0) < WAL_HEADER_SIZE) return null;
    if (isBigEndianWal(bytes)) {
      throw new DatabaseError("WAL_BIG_ENDIAN", "the WAL was written on a big-endian machine", {
        path: this.path,
        hint: "Run PRAGMA wal_checkpoint(TRUNCATE) on this machine once; the next WAL is then little-endian.",
      });
    }
    const header = decodeWalHeader(bytes);
    if (header !== null && header.pageSize !== this.pageSize) {
      throw new DatabaseError(
        "DATABASE_PAGE_SIZE",
        `the WAL has pages of ${header.pageSize} bytes, the database of ${this.pageSize}`,
        {
          path: this.path,
          hint: "This -wal belongs to another database: find out how it came here before the database is used.",
        },
      );
    }
    return header;
  }

  /** The header of frame `frame` (from 1); null beyond the end of the file. */
  readFrameHeader(frame: number): FrameHeader | null {
    const bytes = new Uint8Array(FRAME_HEADER_SIZE);
    const size = readFully(this.#open(), bytes, frameOffset(frame, this.pageSize));
    return size < FRAME_HEADER_SIZE ? null : decodeFrameHeader(bytes, 0);
  }

  /** Fills `target` with frames from `frame` (from 1) on; returns how many whole frames were read. */
  readFrames(target: Uint8Array, frame: number): number {
    return Math.floor(readFully(this.#open(), target, frameOffset(frame, this.pageSize)) / this.frameSize);
  }

  /** @throws DatabaseError DATABASE_REPLACED when the file at the path is not the one that is being read */
  checkIdentity(): void {
    if (this.#fd === null) return;
    const open = fstatSync(this.#fd, { bigint: true });
    const found = statSync(this.path, { bigint: true, throwIfNoEntry: false });
    if (found?.ino === open.ino && found.dev === open.dev) return;
    throw new DatabaseError("DATABASE_REPLACED", "the -wal file was removed or replaced while it was in use", {
      path: this.path,
      hint: "Stop the application, check the database with PRAGMA integrity_check, then start both again.",
    });
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #open(): number {
    try {
      this.#fd ??= openSync(this.path, "r");
      return this.#fd;
    } catch (cause) {
      throw new DatabaseError("DATABASE_REPLACED", "the -wal file is gone or cannot be read", {
        path: this.path,
        cause,
        hint: "Nothing may remove a -wal file while the database is open: find out what did.",
      });
    }
  }
}
