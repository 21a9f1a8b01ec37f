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
  const seen = database.prepare<[], bigint>("SELECT coalesce(max(id), 0) FROM mark").pluck().get() ?? 0n;
  return { database, look: database.prepare("SELECT id, made FROM mark WHERE id > ? ORDER BY id"), seen, lagsMs: [] };
}
