/** Real daemons that serve the page, and an application that writes all the time, for the tests of one file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { type DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import { freePorts } from "../../src/demo/free-ports.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { createEntries } from "./entries.ts";
import { untilReadable } from "./mirror-set.ts";
import { configure } from "./tenants.ts";

/** lisbon, two mirrors that follow it, and a mirror-mirror. */
export const PAGED: readonly DemoMember[] = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
  { member: "faro", follows: "lisbon" },
  { member: "braga", follows: "porto" },
];

const WRITE_INTERVAL_MS = 40;

export class PagedSet {
  readonly set: DemoSet;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #database: Database.Database;
  readonly #writing: NodeJS.Timeout;

  private constructor(set: DemoSet, ports: ReadonlyMap<string, number>) {
    this.set = set;
    this.#ports = ports;
    this.#database = new Database(set.databasePath("lisbon"), { timeout: 50 });
    const insert = this.#database.prepare("INSERT INTO entry VALUES ('page', ?, randomblob(900))");
    let number = 0;
    this.#writing = setInterval(() => {
      try {
        insert.run(++number);
      } catch {
        // Somebody else is operational, and this database is read-only.
      }
    }, WRITE_INTERVAL_MS);
  }

  static async start(): Promise<PagedSet> {
    const set = new DemoSet({ root: mkdtempSync(join(tmpdir(), "afterimage-page-")), members: PAGED });
    const free = await freePorts(PAGED.length);
    const ports = new Map(PAGED.map(({ member }, i) => [member, free[i] ?? 0]));
    configure(set, ({ members }) => {
      for (const [member, port] of ports) members[member].http = { port };
      members.porto.backup = { schedule: "0 3 * * *", directory: join(set.root, "backups") };
      members.braga.type = "dr";
    });
    createEntries(set.databasePath("lisbon"));
    const paged = new PagedSet(set, ports);
    for (const { member } of PAGED) set.startDaemon(member);
    for (const { member } of set.mirrors) await untilReadable(set, member);
    return paged;
  }

  url(member: string): string {
    return `http://localhost:${this.#ports.get(member)}/ui/`;
  }

  /** Starts the daemon of a member that was stopped, and waits until it answers. */
  async startAgain(member: string): Promise<void> {
    this.set.startDaemon(member);
    const isUp = async () => (await fetch(this.url(member)).catch(() => null))?.ok === true;
    await waitUntil(isUp, { what: `${member} serves its page`, stalledAfterMs: 30_000 });
  }

  async close(): Promise<void> {
    clearInterval(this.#writing);
    this.#database.close();
    await this.set.stopDaemons();
    rmSync(this.set.root, { recursive: true, force: true, maxRetries: 5 });
  }
}
