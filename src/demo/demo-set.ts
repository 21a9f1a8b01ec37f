/**
 * A mirror set in one directory: its configuration, its members' directories, and their daemons as real processes.
 *
 * Layout: `afterimage.yaml`, and for each member `<member>/mailbox`, `<member>/state`, `<member>/data/<database>.db` and
 * `<member>/daemon.log`.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { stringify } from "yaml";
import { type DatabaseStatus, type MemberStatus, parseMemberStatus } from "../status/member-status.ts";
import { ManagedProcess } from "./managed-process.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/afterimage", import.meta.url));

/** The name that the database has in the configuration, where there is one. */
export const DATABASE = "shop";

/** The path of a segment in a journal, and its last transaction. */
const SEGMENT = /ltx\/0\/[0-9a-f]{16}-([0-9a-f]{16})\.ltx$/;

export interface DemoMember {
  readonly member: string;
  /** The member that it follows; null for the operational one. */
  readonly follows: string | null;
}

/** Sections of the configuration that replace the mailboxes in directories. */
export interface MailboxSections {
  /** Keys of each member, by name. */
  readonly members: ReadonlyMap<string, object>;
  readonly ssh: object;
}

interface DemoSetOptions {
  /** An empty directory that the set may fill. */
  readonly root: string;
  /** The operational member first. */
  readonly members: readonly DemoMember[];
  /** The `journal` section of the configuration; `rotate: continuous` when not given. */
  readonly journal?: Readonly<Record<string, string | number>>;
  /** Names of the databases; {@link DATABASE} alone when not given. */
  readonly databases?: readonly string[];
}

export class DemoSet {
  readonly root: string;
  readonly members: readonly DemoMember[];
  #operational: string;
  readonly #journal: Readonly<Record<string, string | number>>;
  readonly #databases: readonly string[];
  readonly #daemons = new Map<string, ManagedProcess>();

  /** Makes the directories and writes the configuration; starts nothing. */
  constructor(options: DemoSetOptions) {
    this.root = options.root;
    this.members = options.members;
    this.#operational = options.members.find((member) => member.follows === null)?.member ?? "";
    for (const { member } of this.members) {
      for (const directory of ["mailbox", "state", "data"])
        mkdirSync(join(this.root, member, directory), { recursive: true });
    }
    this.#journal = options.journal ?? { rotate: "continuous" };
    this.#databases = options.databases ?? [DATABASE];
    this.configure(null);
  }

  /** Whom the set takes for the operational member. */
  get operational(): string {
    return this.#operational;
  }

  /** All others, with whom they follow by the configuration; the member that was operational first follows whoever is now. */
  get mirrors(): readonly DemoMember[] {
    return this.members
      .filter(({ member }) => member !== this.#operational)
      .map(({ member, follows }) => ({ member, follows: follows ?? this.#operational }));
  }

  /** From now on `member` is the operational one. */
  takeOver(member: string): void {
    this.#operational = member;
  }

  /** Writes the configuration, with these mailboxes or with directories; daemons read it when they start. */
  configure(mailboxes: MailboxSections | null): void {
    writeFileSync(this.configPath, stringify(this.#configuration(mailboxes)));
  }

  get configPath(): string {
    return join(this.root, "afterimage.yaml");
  }

  databasePath(member: string, database = DATABASE): string {
    return join(this.root, member, "data", `${database}.db`);
  }

  statePath(member: string): string {
    return join(this.root, member, "state");
  }

  mailboxPath(member: string): string {
    return join(this.root, member, "mailbox");
  }

  logPath(member: string): string {
    return join(this.root, member, "daemon.log");
  }

  startDaemon(member: string): ManagedProcess {
    const args = [PROGRAM, "run", "--config", this.configPath, "--node", member];
    const daemon = ManagedProcess.start(member, process.execPath, args, this.logPath(member));
    this.#daemons.set(member, daemon);
    return daemon;
  }

  /** The daemon that was started last for this member. */
  daemon(member: string): ManagedProcess | null {
    return this.#daemons.get(member) ?? null;
  }

  /** Daemons that ended although nobody asked them to, with how they ended. */
  fallenDaemons(): ManagedProcess[] {
    return [...this.#daemons.values()].filter((daemon) => daemon.exit !== null);
  }

  /** Ends a daemon without warning. */
  async killDaemon(member: string): Promise<void> {
    const daemon = this.#daemons.get(member);
    daemon?.kill("SIGKILL");
    await daemon?.exited;
    this.#daemons.delete(member);
  }

  /** Ends every daemon with SIGTERM and waits for them; returns those that did not end with exit code 0. */
  async stopDaemons(): Promise<ManagedProcess[]> {
    const daemons = [...this.#daemons.values()];
    await Promise.all(daemons.map((daemon) => daemon.terminate()));
    this.#daemons.clear();
    return daemons.filter((daemon) => daemon.exit?.code !== 0);
  }

  /** What the member last published; null before its first status. */
  status(member: string): MemberStatus | null {
    try {
      return parseMemberStatus(readFileSync(join(this.mailboxPath(member), "status.json"), "utf8"));
    } catch {
      return null;
    }
  }

  databaseStatus(member: string): DatabaseStatus | null {
    return this.status(member)?.databases[DATABASE] ?? null;
  }

  /** Whether the mirror says that it has integrated the very position that the operational member says it has cut. */
  isCaughtUp(mirror: string): boolean {
    const end = this.databaseStatus(this.operational)?.operational ?? null;
    const position = this.databaseStatus(mirror)?.integrated ?? null;
    return end !== null && position !== null && samePosition(end, position);
  }

  /** Whether the mirror has integrated something of the epoch that the operational member reigns in. */
  isFollowing(mirror: string): boolean {
    const epoch = this.status(this.operational)?.epoch ?? null;
    return epoch !== null && this.databaseStatus(mirror)?.integrated?.epoch === epoch;
  }

  /** Every mirror's integrated position, as text: moves as long as the set moves. */
  progress(): string {
    return this.mirrors
      .map(({ member }) => `${member} ${this.databaseStatus(member)?.integrated?.txid ?? "-"}`)
      .join(", ");
  }

  /** Segments in the operational member's journal, without the end mark behind the last one. */
  segmentCount(): number {
    const end = this.databaseStatus(this.operational)?.received?.txid ?? "";
    const journal = join(this.statePath(this.operational), "journal");
    try {
      const names = readdirSync(journal, { recursive: true, encoding: "utf8" });
      return names.filter((name) => (SEGMENT.exec(name)?.[1] ?? "g") <= end).length;
    } catch {
      return 0;
    }
  }

  #configuration(mailboxes: MailboxSections | null): object {
    const first = this.members.find((member) => member.follows === null)?.member ?? "";
    const members: Record<string, object> = {};
    for (const { member, follows } of this.members) {
      members[member] = {
        ...(mailboxes?.members.get(member) ?? { mailbox: pathToFileURL(this.mailboxPath(member)).href }),
        ...(follows === null || follows === first ? {} : { follows }),
        state: this.statePath(member),
        databases: Object.fromEntries(this.#databases.map((name) => [name, this.databasePath(member, name)])),
      };
    }
    const ssh = mailboxes === null ? {} : { ssh: mailboxes.ssh };
    return { mirror: "demo", operational: first, members, ...ssh, journal: this.#journal };
  }
}

export function samePosition(a: { epoch: number; txid: string; checksum: string }, b: typeof a): boolean {
  return a.epoch === b.epoch && a.txid === b.txid && a.checksum === b.checksum;
}
