/** What a daemon has done since it was started, in numbers that only grow. Counting neither waits nor fails. */

export type TallyName =
  /** By database. */
  | "cutFiles"
  | "cutBytes"
  | "receivedFiles"
  | "receivedBytes"
  | "integratedTransactions"
  /** By follower. */
  | "shippedFiles"
  | "shippedBytes"
  /** By level and code, as `error DISK_LOW`. */
  | "events";

export class Tally {
  readonly #counts = new Map<TallyName, Map<string, number>>();

  /** @param subject what it is counted for: a database, a follower, or an event's level and code. */
  add(name: TallyName, subject: string, amount = 1): void {
    const counts = this.#counts.get(name) ?? new Map<string, number>();
    this.#counts.set(name, counts.set(subject, (counts.get(subject) ?? 0) + amount));
  }

  /** Segments and snapshots, and all of their bytes. */
  addFiles(kind: "cut" | "received" | "shipped", subject: string, bytes: number, files = 1): void {
    this.add(`${kind}Files`, subject, files);
    this.add(`${kind}Bytes`, subject, bytes);
  }

  of(name: TallyName): ReadonlyMap<string, number> {
    return this.#counts.get(name) ?? new Map();
  }
}
