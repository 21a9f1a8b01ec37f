import type { ChecksumChunkStore } from "../../src/sqlite/page-checksum-table.ts";

/** Keeps the chunks of a page-checksum table in memory. */
export class MemoryChunkStore implements ChecksumChunkStore {
  readonly chunks = new Map<number, Uint8Array>();

  readChunk(chunk: number): Uint8Array | null {
    return this.chunks.get(chunk) ?? null;
  }

  writeChunk(chunk: number, bytes: Uint8Array): void {
    this.chunks.set(chunk, bytes.slice());
  }

  deleteChunksFrom(from: number): void {
    for (const chunk of this.chunks.keys()) if (chunk >= from) this.chunks.delete(chunk);
  }
}
