/**
 * A mirror set of two in the test's own process whose operational machine is lost at a moment of the test's choice: what its
 * disk held then is copied to where an operator would mount it.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { Member } from "../../src/member/member.ts";
import { type SalvageOptions, salvage } from "../../src/salvage/salvage.ts";
import type { SalvagedDatabase, SalvageResult } from "../../src/salvage/salvage-result.ts";
import {
  addVisits,
  CLINIC,
  createClinic,
  databasePath,
  inboxPath,
  openMember,
  segmentsPath,
} from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

export class LostClinic implements AsyncDisposable {
  readonly root: string;
  /** Where the lost disk is mounted. */
  readonly disk: string;
  readonly application: Database.Database;
  readonly mirror: Member;
  #operational: Member | null;

  private constructor(root: string, application: Database.Database, operational: Member, mirror: Member) {
    this.root = root;
    this.disk = join(root, "mnt");
    this.application = application;
    this.#operational = operational;
    this.mirror = mirror;
  }

  /** The journal has begun, and the mirror has all of it, or, if it is not `shipped`, nothing. */
  static async begin({ shipped = true } = {}): Promise<LostClinic> {
    const root = temporaryDirectory();
    const application = createClinic(databasePath(root, "lisbon"));
    // What the application's last connection would do at a thousand pages would hide what is to be seen.
    application.pragma("wal_autocheckpoint = 0");
    const clinic = new LostClinic(root, application, await openMember(root, "lisbon"), await openMember(root, "porto"));
    addVisits(application, 20);
    await clinic.rotate();
    if (shipped) await clinic.ship();
    return clinic;
  }

  /** The rows that the application has committed. */
  get visits(): number {
    return countVisits(this.application);
  }

  get databaseOnDisk(): string {
    return join(this.disk, databasePath(this.root, "lisbon"));
  }

  get walOnDisk(): string {
    return `${this.databaseOnDisk}-wal`;
  }

  get stateOnDisk(): string {
    return join(this.disk, this.root, "lisbon", "state");
  }

  get segmentsOnDisk(): string {
    return join(this.disk, segmentsPath(this.root, "lisbon"), "0");
  }

  async rotate(): Promise<void> {
    await this.#operational?.rotate();
  }

  async fence(): Promise<void> {
    await this.#operational?.fence();
  }

  /** Everything that is cut reaches the mirror, and is integrated. */
  async ship(): Promise<void> {
    for (const level of ["9", "0"]) {
      const from = join(segmentsPath(this.root, "lisbon"), level);
      const end = this.#operational?.context.store.database(CLINIC)?.received?.txid ?? 0n;
      for (const name of existsSync(from) ? readdirSync(from) : []) {
        const isDue = !name.startsWith(".") && BigInt(`0x${name.slice(17, 33)}`) <= end;
        if (isDue) copyFileSync(join(from, name), join(inboxPath(this.root, "porto"), name));
      }
    }
    await this.mirror.integrate();
  }

  /** The operational daemon ends without a word; the application goes on. */
  async stopDaemon(): Promise<void> {
    await this.#operational?.close();
    this.#operational = null;
  }

  /** The disk as it is now; nothing writes to it while it is copied. */
  lose(): void {
    const path = databasePath(this.root, "lisbon");
    rmSync(this.disk, { recursive: true, force: true });
    mkdirSync(dirname(this.databaseOnDisk), { recursive: true });
    mkdirSync(dirname(this.stateOnDisk), { recursive: true });
    // By another process: closing a descriptor of a database would drop the locks that this one holds on it.
    const files = [path, `${path}-wal`].filter((file) => existsSync(file));
    execFileSync("cp", ["--preserve=timestamps", ...files, dirname(this.databaseOnDisk)]);
    execFileSync("cp", ["-r", join(this.root, "lisbon", "state"), this.stateOnDisk]);
    rmSync(join(this.root, "lisbon", "mailbox"), { recursive: true, force: true });
  }

  async salvage(options: Partial<SalvageOptions> = {}): Promise<SalvageResult> {
    const { configuration, self } = this.mirror.context;
    return await salvage({ configuration, self, control: this.mirror, from: this.disk, watchMs: 0, ...options });
  }

  /** What was salvaged of the one database. */
  async salvageClinic(options: Partial<SalvageOptions> = {}): Promise<SalvagedDatabase> {
    const [result] = (await this.salvage(options)).databases;
    if (result === undefined) throw new Error("no database");
    return result;
  }

  /** What SQLite shows of the lost disk: a settled copy. */
  shownByDisk(): string {
    const copy = join(this.root, "shown.db");
    for (const file of ["", "-wal"]) {
      rmSync(copy + file, { force: true });
      if (existsSync(this.databaseOnDisk + file)) copyFileSync(this.databaseOnDisk + file, copy + file);
    }
    settleDatabase(copy);
    return copy;
  }

  /** Closes the mirror and compares it with `path`, which is settled. */
  async compareMirror(path: string): Promise<{ identical: boolean }> {
    await this.mirror.close();
    settleDatabase(databasePath(this.root, "porto"));
    return compareDatabases(path, databasePath(this.root, "porto"));
  }

  /** Digest and time of every file on the lost disk. */
  fingerprint(): string {
    const names = readdirSync(this.disk, { recursive: true, encoding: "utf8" }).sort();
    return names
      .map((name) => join(this.disk, name))
      .filter((path) => statSync(path).isFile())
      .map(
        (path) => `${path} ${statSync(path).mtimeMs} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`,
      )
      .join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mirror.close();
    await this.stopDaemon();
    if (this.application.open) this.application.close();
  }
}

export function countVisits(database: Database.Database): number {
  return database.prepare<[], { visits: number }>("SELECT count(*) AS visits FROM visit").get()?.visits ?? 0;
}

export function visitsIn(path: string): number {
  const database = new Database(path, { readonly: true });
  try {
    return countVisits(database);
  } finally {
    database.close();
  }
}
