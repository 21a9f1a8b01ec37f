/** Mirror sets with many small databases. */
import Database from "better-sqlite3";
import { type DemoSet, samePosition } from "../../src/demo/demo-set.ts";

export function clinicNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `clinic-${index}`);
}

export function createVisits(path: string): void {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT)");
  database.close();
}

/** One commit. */
export function addVisit(path: string): void {
  const database = new Database(path, { timeout: 5_000 });
  database.exec("INSERT INTO visit (note) VALUES ('came in')");
  database.close();
}

/** How many databases have at least so many transactions, and are on the mirror to the end of their journal. */
export function countLevel(set: DemoSet, mirror: string, transactions: number): number {
  const ends = set.status(set.operational)?.databases ?? {};
  const copies = set.status(mirror)?.databases ?? {};
  return Object.entries(ends).filter(([name, { operational: end }]) => {
    const position = copies[name]?.integrated ?? null;
    if (end === null || position === null) return false;
    return Number.parseInt(end.txid, 16) >= transactions && samePosition(end, position);
  }).length;
}
