/** Waits until copies of a mirror equal the upstream's, and shows how far that is. */
import { setTimeout as delay } from "node:timers/promises";
import type { MemberControl } from "../member/member-control.ts";
import type { DatabaseStatus, MemberStatus } from "../status/member-status.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { ProgressBar } from "./progress-bar.ts";

const POLL_MS = 200;

/** `ordered`: no daemon runs that could do it. */
export interface ResyncedCopy {
  readonly database: string;
  readonly state: "done" | "failed" | "ordered";
  /** TXID, 16 hexadecimal digits; null when nothing is integrated. */
  readonly integrated: string | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

/** Resolves when each is done, or has failed with something that waiting does not cure. */
export async function waitForResync(
  args: GlobalOptions,
  io: CommandIo,
  { control, databases }: { control: MemberControl; databases: readonly string[] },
): Promise<ResyncedCopy[]> {
  const bar = new ProgressBar(args, io);
  try {
    for (;;) {
      const own = await ownStatus(control);
      const copies = databases.map((name) => copyOf(own, name));
      const waiting = databases.find((_, index) => copies[index] === null);
      if (waiting === undefined) return copies.filter((copy) => copy !== null);
      show(bar, waiting, own?.databases[waiting]);
      await delay(POLL_MS);
    }
  } finally {
    bar.end();
  }
}

async function ownStatus(control: MemberControl): Promise<MemberStatus | null> {
  const { members, answeredBy } = await control.status();
  return members.find(({ member }) => member === answeredBy) ?? null;
}

/** Null while it goes on. */
function copyOf(own: MemberStatus | null, database: string): ResyncedCopy | null {
  const status = own?.databases[database];
  const integrated = status?.integrated?.txid ?? null;
  if (status?.resync == null) return { database, state: "done", integrated, error: null };
  if (own?.state === "down") return { database, state: "ordered", integrated, error: null };
  const { error } = status.resync;
  // A shortage is waited for.
  const isFinal = error?.code.startsWith("DATABASE_") === true && error.code !== "DATABASE_BUSY";
  return isFinal ? { database, state: "failed", integrated, error } : null;
}

const STEPS = { preparing: "reading the copy", asking: "waiting for the upstream", applying: "applying" } as const;

function show(bar: ProgressBar, database: string, status: DatabaseStatus | undefined): void {
  const { state = "preparing", done = 0, total = 0 } = status?.resync ?? {};
  const pageSize = status?.pageSize ?? 4096;
  const { receiving } = status ?? {};
  if (state === "asking" && receiving != null) {
    const { bytes, total: totalBytes } = receiving;
    bar.show({ what: database, step: "receiving", bytes, totalBytes: totalBytes ?? 0 });
    return;
  }
  bar.show({ what: database, step: STEPS[state], bytes: done * pageSize, totalBytes: (total ?? 0) * pageSize });
}

/** One line for people. */
export function resyncedLine({ database, state, integrated, error }: ResyncedCopy): string {
  if (state === "done") return `${database}: equals the upstream's at ${integrated ?? "nothing"}`;
  if (state === "ordered") return `${database}: ordered; it is done once this member's daemon runs`;
  return `${database}: ${error?.code}: ${error?.message}${error?.hint == null ? "" : ` (${error.hint})`}`;
}
