import { writeSync } from "node:fs";

/** Writes all of `bytes` at byte `position` of the file; the system may take several calls for it. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
