import type { Database, Statement } from "better-sqlite3";
import type { ChecksumChunkStore } from "../sqlite/page-checksum-table.ts";

/** Where the page-checksum tables of a member's databases live. */
export class ChecksumChunks {
  readonly #select: Statement<[string, number], { bytes: Uint8Array }>;
  readonly #write: Statement<[string, number, Uint8Array]>;
  readonly #delete: Statement<[string, number]>;

  constructor(database: Database) {
    this.#select = database.prepare("SELECT bytes FROM page_checksums WHERE database = ? AND chunk = ?");
    this.#write = database.prepare(`
      INSERT INTO page_checksums VALUES (?, ?, ?) ON CONFLICT (database, chunk) DO UPDATE SET bytes = excluded.bytes`);
    this.#delete = database.prepare("DELETE FROM page_checksums WHERE database = ? AND chunk >= ?");
  }

  of(database: string): ChecksumChunkStore {
    return {
      readChunk: (chunk) => this.#select.get(database, chunk)?.bytes ?? null,
      writeChunk: (chunk, bytes) => {
        this.#write.run(database, chunk, bytes);
      },
      deleteChunksFrom: (from) => {
        this.#delete.run(database, from);
      },
    };
  }
}
