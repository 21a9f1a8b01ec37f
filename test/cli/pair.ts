/** A pair of members over directories, whose daemons and commands are processes. */
import Database from "better-sqlite3";
import { expect } from "vitest";
import { type DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { afterimage, type Ended, startAfterimage } from "./afterimage.ts";

const PAIR: readonly DemoMember[] = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
];
/** The schedule never comes: what is rotated is rotated by command. */
const BY_COMMAND = { rotate: "0 0 1 1 *" };

/** lisbon is operational, porto follows it. */
export class Pair {
  readonly set: DemoSet;

  /** @param journal further keys of the configuration's `journal` section */
  constructor(journal: Readonly<Record<string, string>> = {}) {
    this.set = new DemoSet({ root: temporaryDirectory(), members: PAIR, journal: { ...BY_COMMAND, ...journal } });
    this.write("CREATE TABLE t (a)");
  }

  write(sql: string): void {
    const db = new Database(this.set.databasePath("lisbon"));
    db.pragma("journal_mode = WAL");
    db.exec(sql);
    db.close();
  }

  run(member: string, ...args: string[]): Promise<Ended> {
    return afterimage([...args, "--config", this.set.configPath, "--node", member], { cwd: this.set.root });
  }

  start(member: string) {
    return startAfterimage(["run", "--config", this.set.configPath, "--node", member], { cwd: this.set.root });
  }

  async json(member: string, ...args: string[]) {
    const { code, stdout, stderr } = await this.run(member, ...args, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    await waitUntil(condition, { what, stalledAfterMs: 20_000, progress: () => this.set.progress() });
  }
}
