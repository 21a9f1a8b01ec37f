/** The ways of docs/MIGRATING.md, by the commands of the page, while an application goes on writing. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { LITESTREAM_MODULE } from "../bench/peers.ts";
import { buildGoTool } from "../interop/go-tool.ts";
import { readEvents } from "../support/events.ts";
import { RunbookMachines, stepsOfPage } from "../support/runbook.ts";

const PAGE = stepsOfPage("MIGRATING.md");
const ROWS = 500;
const LIMIT_MS = 240_000;

class Migration extends RunbookMachines {
  readonly #steps: ReturnType<typeof PAGE.get>;
  #taken = 0;
  readonly database: Database.Database;

  constructor(heading: string) {
    super([
      { member: "lisbon", follows: null },
      { member: "porto", follows: "lisbon" },
    ]);
    this.#steps = PAGE.get(heading);
    onTestFinished(async () => void (await this.set.stopDaemons()));
    mkdirSync(this.copies);
    this.database = new Database(this.set.databasePath("lisbon"), { timeout: 10_000 });
    onTestFinished(() => void this.database.close());
    this.database.exec("PRAGMA journal_mode = WAL; CREATE TABLE visit (id INTEGER PRIMARY KEY, scan BLOB)");
    this.write(ROWS);
  }

  get copies(): string {
    return join(this.set.root, "copies");
  }

  write(rows: number): void {
    const insert = this.database.prepare("INSERT INTO visit (scan) VALUES (randomblob(5000))");
    this.database.transaction(() => {
      for (let i = 0; i < rows; i++) insert.run();
    })();
  }

  /** The next step of the page; the application writes before each. */
  async next(beginning: string): Promise<string> {
    const step = this.#steps?.[this.#taken++];
    expect(step?.commands).toMatch(new RegExp(`^${beginning}`));
    this.write(2);
    return step === undefined ? "" : await this.take(step);
  }

  end(): void {
    expect(this.#steps?.slice(this.#taken)).toEqual([]);
  }

  /** Pages that the mirror fetched, which had a copy of all but the last rows. */
  fetchedPages(): number {
    const resynced = readEvents(this.set, "porto").findLast(({ code }) => code === "RESYNCED");
    return Number(resynced?.data?.pages);
  }

  count(path: string): number {
    const database = new Database(path, { timeout: 5_000 });
    try {
      return database.prepare<[], number>("SELECT count(*) FROM visit").pluck().get() ?? 0;
    } finally {
      database.close();
    }
  }
}

test(
  "from a copy that cron has made, and back",
  async () => {
    const way = new Migration("From rsync, cp, .backup or VACUUM INTO by cron");
    await way.database.backup(join(way.copies, "shop.db"));
    await way.next("sudo systemctl start");
    await way.next("afterimage seed");
    await way.next("afterimage sync");
    const verified = await way.next("afterimage verify --deep");
    expect(verified).toMatch(/^ok {2}shop/m);
    expect(verified).toContain("RESYNCED");
    expect(way.fetchedPages()).toBeLessThan(ROWS / 5);
    await way.next("sudo systemctl stop");
    expect(way.count(join(way.copies, "again.db"))).toBe(ROWS + 10);
    const listed = await way.next("sudo systemctl stop");
    expect(listed).toContain("shop");
    const backups = join(way.set.statePath("porto"), "backups");
    const names = readdirSync(backups, { recursive: true, encoding: "utf8" });
    const backup = names.find((name) => /(^|\/)shop[^/]*\.db$/.test(name)) ?? "";
    copyFileSync(join(backups, backup), join(way.copies, "free.db"));
    const free = new Database(join(way.copies, "free.db"));
    free.exec("DELETE FROM visit WHERE id = 1");
    free.close();
    way.end();
  },
  LIMIT_MS,
);

test(
  "from Litestream, whose replica is the seed",
  async (context) => {
    const tool = await buildGoTool(LITESTREAM_MODULE, "litestream");
    if ("skipped" in tool) return context.skip(tool.skipped);
    const way = new LitestreamMigration("From Litestream");
    await way.replicate(tool.path);
    await way.next("litestream restore");
    await way.next("sudo systemctl stop litestream");
    await way.next("afterimage seed");
    await way.next("afterimage sync");
    expect(await way.next("afterimage verify --deep")).toMatch(/^ok {2}shop/m);
    expect(way.fetchedPages()).toBeLessThan(ROWS / 2);
    expect(way.database.prepare("SELECT name FROM sqlite_schema").pluck().all()).toEqual(["visit"]);
    way.end();
  },
  LIMIT_MS,
);

class LitestreamMigration extends Migration {
  /** Starts Litestream, and waits until its replica has begun. */
  async replicate(program: string): Promise<void> {
    symlinkSync(program, join(this.set.root, "bin", "litestream"));
    const replica = join(this.set.root, "replica");
    this.variables.REPLICA_URL = `file://${replica}`;
    const service = spawn(program, ["replicate", this.set.databasePath("lisbon"), `file://${replica}`], {
      stdio: "ignore",
    });
    const ended = once(service, "exit");
    onTestFinished(() => void service.kill("SIGKILL"));
    this.ownLines.set("sudo systemctl stop litestream", async () => {
      service.kill("SIGTERM");
      await ended;
    });
    const isThere = () => readdirSync(this.set.root, { recursive: true, encoding: "utf8" }).some(isReplicaFile);
    await waitUntil(isThere, { what: "Litestream has begun", stalledAfterMs: 60_000 });
  }
}

function isReplicaFile(name: string): boolean {
  return /^replica\/.*\.ltx$/.test(name);
}
