/** When each database was last verified, and what came of it. */
import type { Database, Statement } from "better-sqlite3";
import { formatPosition, type Position } from "../ltx/position.ts";
import { corrupt, decodePosition } from "./state-decode.ts";

export interface Verification {
  /** Milliseconds since 1970, by this member's clock. */
  readonly atMs: number;
  /** The position that the database was compared at. */
  readonly position: Position;
  readonly ok: boolean;
}

interface RawVerification {
  at_ms: bigint;
  position: string;
  ok: bigint;
}

export class VerificationLedger {
  readonly #database: Database;
  #select: Statement<[string], RawVerification> | null = null;
  /** As they were read; null when other processes may write. A status asks for all of them every 2 s. */
  readonly #known: Map<string, Verification | null> | null;

  constructor(database: Database) {
    this.#database = database;
    this.#known = database.readonly ? null : new Map();
  }

  get(database: string): Verification | null {
    const known = this.#known?.get(database);
    if (known !== undefined) return known;
    const verification = this.#read(database);
    this.#known?.set(database, verification);
    return verification;
  }

  /** What was saved since has been rolled back: all are read anew. */
  forget(): void {
    this.#known?.clear();
  }

  #read(database: string): Verification | null {
    // Prepared when it is needed: a state that is opened only for reading may not have the table yet.
    this.#select ??= this.#database.prepare("SELECT at_ms, position, ok FROM verifications WHERE database = ?");
    const row = this.#select.get(database);
    if (row === undefined) return null;
    const position = decodePosition(row.position);
    if (position === null) throw corrupt("a position", row.position);
    return { atMs: Number(row.at_ms), position, ok: row.ok !== 0n };
  }

  save(database: string, { atMs, position, ok }: Verification): void {
    const write = this.#database.prepare("INSERT OR REPLACE INTO verifications VALUES (?, ?, ?, ?)");
    write.run(database, atMs, formatPosition(position), ok ? 1 : 0);
    this.#known?.delete(database);
  }

  delete(database: string): void {
    this.#database.prepare("DELETE FROM verifications WHERE database = ?").run(database);
    this.#known?.delete(database);
  }
}
