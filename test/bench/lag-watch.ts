/** How long commits take to become visible in several copies at once, seen from one process; see mark-writer-process.ts. */
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";

const LOOK_MS = 4;

interface Copy {
  readonly database: Database.Database;
  readonly look: Database.Statement<[bigint], { id: bigint; made: bigint }>;
  seen: bigint;
  readonly lagsMs: number[];
}

/** A database for mark-writer-process.ts. */
export function createMarks(path: string): void {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE mark (id INTEGER PRIMARY KEY, made INTEGER)");
  database.close();
}

/** The last commit, 0 when there is none. */
export function lastMark(path: string): bigint {
  const database = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    return seenIn(database);
  } finally {
    database.close();
  }
}

function seenIn(database: Database.Database): bigint {
  return database.prepare<[], bigint>("SELECT coalesce(max(id), 0) FROM mark").pluck().safeIntegers().get() ?? 0n;
}

export class LagWatch {
  readonly #copies: readonly Copy[];
  readonly #done: Promise<void>;
  #stopped = false;

  /** @param paths of databases with the table `mark`. What they show already does not count. */
  constructor(paths: readonly string[]) {
    this.#copies = paths.map(openCopy);
    this.#done = this.#watch();
  }

  /** Whether every copy shows the commit. */
  shows(id: bigint): boolean {
    return this.#copies.every(({ seen }) => seen >= id);
  }

  /** Stops looking. @returns the lags of each copy in milliseconds, sorted. */
  async stop(): Promise<number[][]> {
    this.#stopped = true;
    await this.#done;
    for (const { database } of this.#copies) database.close();
    return this.#copies.map(({ lagsMs }) => lagsMs.sort((a, b) => a - b));
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      for (const copy of this.#copies) {
        for (const { id, made } of copy.look.all(copy.seen)) {
          copy.lagsMs.push(Number(process.hrtime.bigint() - made) / 1e6);
          copy.seen = id;
        }
      }
      await sleep(LOOK_MS);
    }
  }
}

function openCopy(path: string): Copy {
  const database = new Database(path, { readonly: true, timeout: 5_000 });
  database.defaultSafeIntegers();
  const look = database.prepare<[bigint], { id: bigint; made: bigint }>(
    "SELECT id, made FROM mark WHERE id > ? ORDER BY id",
  );
  return { database, look, seen: seenIn(database), lagsMs: [] };
}
