/** Members of a set of three that are served in the test's own process: lisbon, porto that follows it, faro that follows porto. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { onTestFinished } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import type { Member } from "../../src/member/member.ts";
import { type MemberStatus, parseMemberStatus } from "../../src/status/member-status.ts";
import { addVisits, createClinic } from "./members.ts";
import { openSetMember, type SetShape, setDatabasePath } from "./set-members.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

export const VISITS = "visits";
export const SERVED_SET = { mirror: "clinic", databases: [VISITS], members: ["lisbon", "porto", "faro"] };

export interface ServedMember {
  readonly member: Member;
  /** Ends it as SIGTERM does; twice is harmless. */
  stop(): Promise<void>;
}

export const SPOKES = { ...SERVED_SET, spokes: true };

interface ServedOptions {
  readonly shape?: SetShape;
  /** Further keys of the member's section. */
  readonly keys?: Readonly<Record<string, string>>;
  readonly nowMs?: () => number;
}

export async function served(
  root: string,
  name: string,
  { shape = SERVED_SET, ...options }: ServedOptions = {},
): Promise<ServedMember> {
  const member = await openSetMember(root, name, shape, options);
  const stop = new AbortController();
  const done = member.run(stop.signal);
  let ended: Promise<void> | null = null;
  const end = async () => {
    stop.abort();
    await done;
    await member.close();
  };
  const running: ServedMember = {
    member,
    stop: () => {
      ended ??= end();
      return ended;
    },
  };
  onTestFinished(() => running.stop());
  return running;
}

export interface ServedPair {
  readonly root: string;
  readonly lisbon: ServedMember;
  readonly porto: ServedMember;
}

/** lisbon and porto, both at the end of a journal of so many visits. */
export async function servedPair(visits: number): Promise<ServedPair> {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const porto = await served(root, "porto");
  writeVisits(root, "lisbon", visits);
  await untilLevel(porto, lisbon);
  return { root, lisbon, porto };
}

/** Cuts, and waits until the mirror has integrated all of it. */
export async function untilLevel(mirror: ServedMember, operational: ServedMember): Promise<void> {
  await operational.member.rotate();
  const level = () => endOf(mirror.member) !== "-" && endOf(mirror.member) === endOf(operational.member);
  await until("the mirror is level", level);
}

/** What a member has published; null when it has nothing yet. */
export function publishedStatus(root: string, member: string): MemberStatus | null {
  const file = join(root, member, "mailbox", "status.json");
  return existsSync(file) ? parseMemberStatus(readFileSync(file, "utf8")) : null;
}

export function visitsPath(root: string, member: string): string {
  return setDatabasePath(root, member, VISITS);
}

export async function until(what: string, condition: () => boolean): Promise<void> {
  await waitUntil(() => condition() || null, { what, stalledAfterMs: 30_000, progress: () => "" });
}

/** What is integrated, as text; `-` when nothing is. */
export function endOf(member: Member): string {
  const position = member.context.store.database(VISITS)?.integrated;
  return position == null ? "-" : `${position.epoch}:${position.txid}`;
}

/** Commits so many visits to a member's database, as an application that opens it for that. */
export function writeVisits(root: string, member: string, count: number): void {
  const database = new Database(visitsPath(root, member));
  addVisits(database, count);
  database.close();
}

export function codesOf(member: Member): string[] {
  return member.context.store.events({}).map(({ code }) => code);
}
