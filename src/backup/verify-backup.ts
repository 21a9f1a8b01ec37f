/** Whether a backup is still what its sidecar says: every byte, every page, and SQLite's own opinion. */
import { AfterimageError } from "../errors.ts";
import { formatChecksum } from "../ltx/position.ts";
import { backupFileError } from "./backup-error.ts";
import { type BackupSidecar, readSidecar } from "./backup-sidecar.ts";
import { type CheckKind, checkWithSqlite } from "./sqlite-check.ts";
import { sumFile } from "./sum-file.ts";

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
  const found = await sumFile(path, sidecar.pageSize, (bytes) => onProgress(bytes, sidecar.bytes));
  return [
    ...differs("SHA-256", found.sha256, sidecar.sha256),
    ...differs("checksum of all pages", formatChecksum(found.checksum), sidecar.checksum),
  ];
}

function differs(what: string, found: string, expected: string): string[] {
  return found === expected ? [] : [`the ${what} is ${found} instead of ${expected}`];
}
