/** One database of a lost machine, as copies that may be worked with: its WAL, and, when it is asked for, the database itself. */
import { join } from "node:path";
import { DatabaseError } from "../sqlite/database-error.ts";
import { WalFile } from "../sqlite/wal-file.ts";
import { WAL_HEADER_SIZE, type WalHeader } from "../sqlite/wal-format.ts";
import { copyWithRoom, type FileStamp, type LostFiles } from "./lost-files.ts";
import { SalvageError } from "./salvage-error.ts";

export interface LostWal {
  readonly file: WalFile;
  readonly header: WalHeader;
}

interface Stamps {
  readonly database: FileStamp | null;
  readonly wal: FileStamp | null;
}

export class LostDatabase implements Disposable {
  /** The copy's WAL; null when there is none that can be read, for the reason in `noWal`. */
  readonly wal: LostWal | null;
  readonly noWal: string;
  /** When the database, or its WAL, was last written, by the lost machine's clock; milliseconds since 1970. */
  readonly writtenAtMs: number;
  readonly #files: LostFiles;
  readonly #path: string;
  readonly #copy: string;
  readonly #stamps: Stamps;

  private constructor(parts: { files: LostFiles; path: string; copy: string; stamps: Stamps }, wal: LostWal | string) {
    this.#files = parts.files;
    this.#path = parts.path;
    this.#copy = parts.copy;
    this.#stamps = parts.stamps;
    this.wal = typeof wal === "string" ? null : wal;
    this.noWal = typeof wal === "string" ? wal : "";
    const { database, wal: walStamp } = parts.stamps;
    this.writtenAtMs = Math.round(walStamp?.mtimeMs ?? database?.mtimeMs ?? 0);
  }

  /**
   * Copies the WAL of the database at `path` into `directory`.
   * @param pageSize of the journal.
   * @throws SalvageError SALVAGE_IN_USE, SALVAGE_SPACE, SALVAGE_UNREADABLE
   */
  static async open(files: LostFiles, path: string, directory: string, pageSize: number): Promise<LostDatabase> {
    const copy = join(directory, "database.db");
    const stamps = await stampsOf(files, path);
    if (stamps.wal !== null) await copyWithRoom(files, `${path}-wal`, `${copy}-wal`);
    const wal = stamps.wal === null ? "it is gone" : openWal(`${copy}-wal`, stamps.wal.size, pageSize);
    const database = new LostDatabase({ files, path, copy, stamps }, wal);
    await database.#assertUnchanged();
    return database;
  }

  /** Copies the database file beside its WAL and returns its path; null when there is none. Throws as {@link LostDatabase.open}. */
  async copyDatabase(): Promise<string | null> {
    if (!(await copyWithRoom(this.#files, this.#path, this.#copy))) return null;
    // A hot rollback journal, when somebody left WAL mode.
    await copyWithRoom(this.#files, `${this.#path}-journal`, `${this.#copy}-journal`);
    await this.#assertUnchanged();
    return this.#copy;
  }

  [Symbol.dispose](): void {
    this.wal?.file.close();
  }

  async #assertUnchanged(): Promise<void> {
    const now = await stampsOf(this.#files, this.#path);
    if (JSON.stringify(now) === JSON.stringify(this.#stamps)) return;
    throw new SalvageError("SALVAGE_IN_USE", "the database was written to while it was copied", {
      path: this.#path,
      hint: "Something still uses it: stop the application there, and let the running member ship what is missing.",
    });
  }
}

async function stampsOf(files: LostFiles, path: string): Promise<Stamps> {
  return { database: await files.stat(path), wal: await files.stat(`${path}-wal`) };
}

/** The reason as text when there is nothing in it that could be followed. */
function openWal(path: string, bytes: number, pageSize: number): LostWal | string {
  if (bytes <= WAL_HEADER_SIZE) return "it is empty";
  const file = new WalFile(path, pageSize);
  try {
    const header = file.readHeader();
    if (header !== null) return { file, header };
    file.close();
    return "its header is damaged";
  } catch (error) {
    file.close();
    if (error instanceof DatabaseError) return error.message;
    throw error;
  }
}
