/** Follows a database the way the operational member does, but keeps the journal as a model in memory. */
import type { Baseline, CapturedChange } from "../../src/sqlite/operational-database.ts";
import { OperationalDatabase } from "../../src/sqlite/operational-database.ts";
import { PageChecksumTable } from "../../src/sqlite/page-checksum-table.ts";
import { diffBaseline } from "../../src/sqlite/page-difference.ts";
import { stageChecksums } from "../../src/sqlite/stage-checksums.ts";
import type { WalPosition } from "../../src/sqlite/wal-format.ts";
import { MemoryChunkStore } from "./memory-chunk-store.ts";
import { PageModel } from "./page-model.ts";

export class Follower {
  readonly model = new PageModel();
  readonly table = new PageChecksumTable(new MemoryChunkStore());
  readonly #path: string;
  #database: OperationalDatabase;
  commits = 0;
  gaps = 0;

  constructor(path: string) {
    this.#path = path;
    this.#database = OperationalDatabase.open(path);
    this.bridge();
  }

  get database(): OperationalDatabase {
    return this.#database;
  }

  /** Closes the database and opens it again at `saved`; a gap is bridged. */
  reopen(saved: WalPosition | null): "continued" | "gap" {
    this.#database.close();
    this.#database = OperationalDatabase.open(this.#path, { saved });
    const { kind } = this.#database.resumed;
    if (kind === "gap") this.bridge();
    return kind;
  }

  /** Makes the model equal to a baseline by the pages that differ; returns how many did. */
  bridge(): number {
    const baseline = this.#database.baseline();
    try {
      const difference = diffBaseline(baseline, this.table);
      const count = this.model.apply(difference, difference.pages());
      this.#settle();
      this.#database.adopt(baseline);
      this.gaps++;
      return count;
    } finally {
      baseline.close();
    }
  }

  /** Captures and accepts all that is committed, or all up to `until`. */
  drain(limits: { maxBytes?: number; until?: WalPosition } = {}): number {
    let changes = 0;
    for (;;) {
      const change = this.#database.capture({ maxBytes: 1 << 20, ...limits });
      if (change === null) return changes;
      this.accept(change);
      changes++;
    }
  }

  accept(change: CapturedChange): void {
    this.model.apply(change, stageChecksums(this.table, change));
    this.#settle();
    this.#database.accept(change);
    this.commits += change.commits;
  }

  /** Compares the model with the database at one commit, while writers go on. */
  verify(): void {
    const baseline: Baseline = this.#database.baseline();
    try {
      this.drain({ until: baseline.position });
      this.model.expectEqualTo(baseline);
    } finally {
      baseline.close();
    }
  }

  close(): void {
    this.#database.close();
  }

  #settle(): void {
    this.table.flush();
    this.table.settle();
  }
}
