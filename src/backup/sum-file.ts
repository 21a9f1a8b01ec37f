import { createHash } from "node:crypto";
import { FileSource } from "../journal/file-source.ts";
import { DatabaseChecksum } from "../ltx/database-checksum.ts";
import { lockBytePage } from "../ltx/page-checksum.ts";
import type { Checksum } from "../ltx/position.ts";
import { Turns } from "../sqlite/turns.ts";

const READ_BYTES = 1 << 20;

export interface FileSums {
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  /** Database checksum of the pages. */
  readonly checksum: Checksum;
  readonly bytes: number;
}

/**
 * Reads a database file that nothing has open, and counts its sums.
 * @param onProgress called with every MiB; what it throws is thrown.
 */
export async function sumFile(path: string, pageSize: number, onProgress: (bytes: number) => void): Promise<FileSums> {
  using source = new FileSource(path);
  const hash = createHash("sha256");
  const checksum = new DatabaseChecksum();
  const lockPage = lockBytePage(pageSize);
  const slice = Buffer.alloc(READ_BYTES);
  const turns = new Turns();
  let bytes = 0;
  for (;;) {
    const read = slice.subarray(0, source.read(slice, bytes));
    hash.update(read);
    for (let at = 0; at + pageSize <= read.length; at += pageSize) {
      const pgno = (bytes + at) / pageSize + 1;
      if (pgno !== lockPage) checksum.addPage(pgno, read.subarray(at, at + pageSize));
    }
    bytes += read.length;
    onProgress(bytes);
    if (read.length < READ_BYTES) return { sha256: hash.digest("hex"), checksum: checksum.value, bytes };
    await turns.spent(read.length);
  }
}
