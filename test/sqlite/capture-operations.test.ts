import { join } from "node:path";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { Follower } from "./follower.ts";

type Step =
  | { kind: "insert"; rows: number; bytes: number }
  | { kind: "update" | "delete"; part: number }
  | { kind: "rollback"; rows: number }
  | {
      kind:
        | "vacuum"
        | "incrementalVacuum"
        | "drain"
        | "checkpoint"
        | "verify"
        | "bridge"
        | "reopen"
        | "reader"
        | "noReader";
    }
  | { kind: "foreignCheckpoint"; mode: "PASSIVE" | "FULL" | "RESTART" | "TRUNCATE" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("insert" as const),
      rows: fc.integer({ min: 1, max: 40 }),
      bytes: fc.integer({ min: 1, max: 6000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("update" as const, "delete" as const),
      part: fc.integer({ min: 2, max: 9 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("rollback" as const), rows: fc.integer({ min: 1, max: 400 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("foreignCheckpoint" as const),
      mode: fc.constantFrom("PASSIVE", "FULL", "RESTART", "TRUNCATE"),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        "vacuum",
        "incrementalVacuum",
        "drain",
        "drain",
        "checkpoint",
        "checkpoint",
        "checkpoint",
        "verify",
        "bridge",
        "reopen",
        "reader",
        "noReader",
      ),
    }),
  },
);

class Scene {
  readonly writer: Database.Database;
  readonly other: Database.Database;
  readonly reader: Database.Database;
  readonly follower: Follower;

  constructor(path: string, pageSize: number, autoVacuum: string) {
    this.writer = new Database(path);
    this.writer.pragma(`page_size = ${pageSize}`);
    this.writer.pragma(`auto_vacuum = ${autoVacuum}`);
    this.writer.pragma("journal_mode = WAL");
    this.writer.pragma("synchronous = OFF");
    // A small cache makes big transactions spill into the WAL before they commit.
    this.writer.pragma("cache_size = 10");
    this.writer.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB, b TEXT); CREATE INDEX i ON t (b)");
    this.other = new Database(path, { timeout: 0 });
    this.reader = new Database(path);
    this.follower = new Follower(path);
  }

  async run(step: Step): Promise<void> {
    const { writer, follower } = this;
    switch (step.kind) {
      case "insert":
        return this.#insert(step.rows, step.bytes);
      case "update":
        writer
          .prepare("UPDATE t SET a = randomblob(length(a) + 7), b = hex(randomblob(9)) WHERE id % ? = 1")
          .run(step.part);
        return;
      case "delete":
        writer.prepare("DELETE FROM t WHERE id % ? != 0").run(step.part);
        return;
      case "rollback":
        writer.exec("BEGIN");
        this.#insert(step.rows, 900);
        writer.exec("ROLLBACK");
        return;
      case "vacuum":
        writer.exec("VACUUM");
        return;
      case "incrementalVacuum":
        writer.pragma("incremental_vacuum(7)");
        return;
      case "foreignCheckpoint":
        this.other.pragma(`wal_checkpoint(${step.mode})`);
        return;
      case "reader":
        if (!this.reader.inTransaction) this.reader.exec("BEGIN; SELECT count(*) FROM t");
        return;
      case "noReader":
        if (this.reader.inTransaction) this.reader.exec("ROLLBACK");
        return;
      case "drain":
        follower.drain({ maxBytes: 20_000 });
        return;
      case "checkpoint":
        await follower.database.checkpoint(async () => {
          follower.drain();
        });
        return;
      case "verify":
        follower.verify();
        return;
      case "bridge":
        follower.bridge();
        return;
      case "reopen":
        follower.reopen(follower.database.position);
        return;
    }
    step satisfies never;
  }

  close(): void {
    for (const connection of [this.writer, this.other, this.reader]) connection.close();
    this.follower.close();
  }

  #insert(rows: number, bytes: number): void {
    const insert = this.writer.prepare("INSERT INTO t (a, b) VALUES (randomblob(?), hex(randomblob(8)))");
    this.writer.transaction(() => {
      for (let row = 0; row < rows; row++) insert.run(bytes);
    })();
  }
}

test("whatever is written and checkpointed, by whomever, the captured pages are the database's", async () => {
  const directory = temporaryDirectory();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(512, 1024, 4096, 8192, 65536),
      fc.constantFrom("NONE", "FULL", "INCREMENTAL"),
      fc.array(step, { minLength: 10, maxLength: 60 }),
      async (pageSize, autoVacuum, steps) => {
        const path = join(directory, `${runs++}.db`);
        const scene = new Scene(path, pageSize, autoVacuum);
        try {
          for (const step of steps) await scene.run(step);
          scene.follower.verify();
          expect(scene.follower.table.checksum).toBe(scene.follower.model.checksum());
        } finally {
          scene.close();
        }
        scene.follower.model.expectEqualToFile(path);
      },
    ),
    { numRuns: 60 },
  );
});
