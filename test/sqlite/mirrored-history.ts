/** A model database and its mirror, for tests that integrate one change after the other. */
import { join } from "node:path";
import { MirrorDatabase, type MirrorOptions } from "../../src/sqlite/mirror-database.ts";
import type { PageChecksumTable } from "../../src/sqlite/page-checksum-table.ts";
import type { WalMark } from "../../src/sqlite/wal-mark.ts";
import { commitTable, type MemoryRun, memoryTable, noise, PageHistory } from "../support/page-history.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

export interface HistoryOptions {
  readonly pageSize?: number;
  readonly autoVacuum?: "none" | "full";
}

export class MirroredHistory {
  readonly history: PageHistory;
  readonly path: string;
  readonly table: PageChecksumTable = memoryTable();

  private constructor(options: HistoryOptions) {
    const directory = temporaryDirectory();
    this.history = new PageHistory(join(directory, "model.db"), options);
    this.path = join(directory, "mirror.db");
  }

  /** The mirror's file exists and holds the model's first state; it is not open. */
  static async create(options: HistoryOptions = {}): Promise<MirroredHistory> {
    const pair = new MirroredHistory(options);
    const snapshot = pair.history.snapshot();
    await MirrorDatabase.create(pair.path, snapshot, { table: pair.table, expectedChecksum: snapshot.checksum });
    commitTable(pair.table);
    return pair;
  }

  async open(options: Partial<MirrorOptions> = {}): Promise<MirrorDatabase> {
    return await MirrorDatabase.open(this.path, { table: this.table, saved: null, ...options });
  }

  insert(firstId: number, count: number, bodyBytes: number): MemoryRun {
    return this.history.change((db) => {
      const insert = db.prepare("INSERT INTO entry (id, body) VALUES (?, ?)");
      db.transaction(() => {
        for (let id = firstId; id < firstId + count; id++) insert.run(id, noise(id, bodyBytes));
      })();
    });
  }

  /** Integrates and settles the table, as an owner does. */
  async integrate(mirror: MirrorDatabase, run: MemoryRun): Promise<WalMark> {
    const mark = await mirror.integrate(run, { expectedChecksum: run.checksum });
    commitTable(this.table);
    return mark;
  }
}
