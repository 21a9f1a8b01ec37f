/** Whether a backup is still what its sidecar says: every byte, every page, and SQLite's own opinion. */
import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { AfterimageError } from "../errors.ts";
import { FileSource } from "../journal/file-source.ts";
import { DatabaseChecksum } from "../ltx/database-checksum.ts";
import { lockBytePage } from "../ltx/page-checksum.ts";
import { formatChecksum } from "../ltx/position.ts";
import { backupFileError } from "./backup-error.ts";
import { type BackupSidecar, readSidecar } from "./backup-sidecar.ts";
import { type CheckKind, checkWithSqlite } from "./sqlite-check.ts";

const READ_BYTES = 1 << 20;

export interface BackupVerification {
  readonly path: string;
  readonly ok: boolean;
  /** Null when it cannot be read. */
  readonly sidecar: BackupSidecar | null;
  /** Which of SQLite's checks it passed; null when it was not checked, or failed. */
  readonly check: CheckKind | null;
  /** One sentence for each fault, or for what could not be checked. */
  readonly problems: readonly string[];
}

/** Never throws for what is wrong with the backup; the signal's reason when it is aborted. */
export async function verifyBackup(
  path: string,
  kind: CheckKind,
  options: { signal: AbortSignal; onProgress(bytes: number, totalBytes: number): void },
): Promise<BackupVerification> {
  let sidecar: BackupSidecar | null = null;
  try {
    sidecar = readSidecar(path);
    const problems = await compareContents(path, sidecar, (bytes, totalBytes) => {
      options.signal.throwIfAborted();
      options.onProgress(bytes, totalBytes);
    });
    if (problems.length > 0) return { path, ok: false, sidecar, check: null, problems };
    const check = checkWithSqlite(path, kind, sidecar);
    const unchecked = check.reason === null ? [] : [`SQLite could not check it: ${check.reason}`];
    const ok = check.problems.length === 0;
    return { path, ok, sidecar, check: ok ? check.passed : null, problems: [...check.problems, ...unchecked] };
  } catch (error) {
    options.signal.throwIfAborted();
    const fault = error instanceof AfterimageError ? error : backupFileError(error, "read the backup", path);
    return { path, ok: false, sidecar, check: null, problems: [`${fault.code}: ${fault.message}`] };
  }
}

async function compareContents(
  path: string,
  sidecar: BackupSidecar,
  onProgress: (bytes: number, totalBytes: number) => void,
): Promise<string[]> {
  const { pageSize, bytes } = sidecar;
  using source = new FileSource(path);
  const hash = createHash("sha256");
  const checksum = new DatabaseChecksum();
  const lockPage = lockBytePage(pageSize);
  const slice = Buffer.alloc(READ_BYTES);
  for (let position = 0; position < bytes; position += READ_BYTES) {
    const read = slice.subarray(0, source.read(slice, position));
    hash.update(read);
    for (let at = 0; at + pageSize <= read.length; at += pageSize) {
      const pgno = (position + at) / pageSize + 1;
      if (pgno !== lockPage) checksum.addPage(pgno, read.subarray(at, at + pageSize));
    }
    onProgress(position + read.length, bytes);
    await turn();
  }
  return [
    ...differs("SHA-256", hash.digest("hex"), sidecar.sha256),
    ...differs("checksum of all pages", formatChecksum(checksum.value), sidecar.checksum),
  ];
}

function differs(what: string, found: string, expected: string): string[] {
  return found === expected ? [] : [`the ${what} is ${found} instead of ${expected}`];
}
