/** Copies a whole database, page by page, into a plain file, and counts its checksums on the way. */
import { createHash } from "node:crypto";
import { DatabaseChecksum } from "../ltx/database-checksum.ts";
import type { PageRun } from "../sqlite/page-run.ts";
import { Turns } from "../sqlite/turns.ts";
import { writeFully } from "../sqlite/write-fully.ts";
import type { FileSums } from "./sum-file.ts";

const WRITE_BYTES = 1 << 20;

/**
 * Writes the pages to an empty file. The lock-byte page, which no run holds, becomes zeros, as in SQLite's own files.
 * @param onProgress called with every MiB or so; what it throws is thrown.
 */
export async function copyPages(fd: number, run: PageRun, onProgress: (bytes: number) => void): Promise<FileSums> {
  const { pageSize, pageCount } = run;
  const checksum = new DatabaseChecksum();
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(Math.max(pageSize, WRITE_BYTES));
  const turns = new Turns();
  let written = 0;
  let filled = 0;
  const flush = () => {
    const bytes = buffer.subarray(0, filled);
    hash.update(bytes);
    writeFully(fd, bytes, written);
    written += filled;
    filled = 0;
    onProgress(written);
  };
  const append = (data: Uint8Array | null) => {
    if (data === null) buffer.fill(0, filled, filled + pageSize);
    else buffer.set(data, filled);
    filled += pageSize;
    if (filled === buffer.length) flush();
  };
  for (const { pgno, data } of run.pages()) {
    while (written + filled < (pgno - 1) * pageSize) append(null);
    checksum.addPage(pgno, data);
    append(data);
    await turns.spent(pageSize);
  }
  while (written + filled < pageCount * pageSize) append(null);
  flush();
  return { checksum: checksum.value, sha256: hash.digest("hex"), bytes: written };
}
