/**
 * A database of entries that several writers fill at once, each with rows of its own numbered from 1: a lost commit is
 * a hole or a short count, whoever lost it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { onTestFinished } from "vitest";
import { z } from "zod";
import { ManagedProcess } from "../../src/demo/managed-process.ts";

const finalLineSchema = z.object({ committed: z.int() });

/** Rows that each writer has, by its name. */
export type EntryCounts = Readonly<Record<string, number>>;

export function createEntries(path: string, pageSize = 4096): void {
  const db = new Database(path);
  db.pragma(`page_size = ${pageSize}`);
  db.pragma("journal_mode = WAL");
  db.exec(`
    CREATE TABLE entry (writer TEXT NOT NULL, number INTEGER NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (writer, number));
    CREATE INDEX entry_payload ON entry (substr(payload, 1, 8));
  `);
  db.close();
}

/** Counts rows by writer; a writer whose numbers have a hole counts as -1. */
export function countEntries(path: string): EntryCounts {
  const db = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    const rows = db
      .prepare<[], { writer: string; rows: number; newest: number }>(
        "SELECT writer, count(*) AS rows, max(number) AS newest FROM entry GROUP BY writer ORDER BY writer",
      )
      .all();
    return Object.fromEntries(rows.map(({ writer, rows, newest }) => [writer, rows === newest ? rows : -1]));
  } finally {
    db.close();
  }
}

/** The SQLite libraries that writers use, and the command and script of each. */
const WRITERS = {
  "better-sqlite3": [process.execPath, "entry-writer.ts"],
  node: [process.execPath, "entry-writer-node.ts"],
  python: ["python3", "entry-writer.py"],
} as const;

/** A writer process that uses one of the SQLite libraries. */
export class EntryWriter {
  readonly name: string;
  readonly #process: ManagedProcess;
  readonly #logPath: string;

  private constructor(name: string, process: ManagedProcess, logPath: string) {
    this.name = name;
    this.#process = process;
    this.#logPath = logPath;
  }

  static start(library: keyof typeof WRITERS, path: string, name: string, pauseMs: number): EntryWriter {
    const logPath = join(path, "..", `${name}.log`);
    const [command, script] = WRITERS[library];
    const child = startSupportProcess(name, command, script, [path, name, String(pauseMs)], logPath);
    return new EntryWriter(name, child, logPath);
  }

  /** Stops it and returns how many rows it says that it has committed. @throws Error when it failed. */
  async stop(): Promise<number> {
    await this.#process.terminate();
    if (this.#process.exit?.code !== 0) throw new Error(`${this.name} failed: ${this.#process.logTail()}`);
    const lastLine = readFileSync(this.#logPath, "utf8").trimEnd().split("\n").at(-1) ?? "";
    return finalLineSchema.parse(JSON.parse(lastLine)).committed;
  }
}

/** Starts a script of this directory; it is killed at the end of the test if it still runs then. */
export function startSupportProcess(
  name: string,
  command: string,
  script: string,
  args: readonly string[],
  logPath: string,
): ManagedProcess {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = ManagedProcess.start(name, command, [path, ...args], logPath);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  return child;
}

/** Stops the writers and returns their counts. */
export async function stopWriters(writers: readonly EntryWriter[]): Promise<EntryCounts> {
  const counts = await Promise.all(writers.map(async (writer) => [writer.name, await writer.stop()] as const));
  return Object.fromEntries(counts);
}
