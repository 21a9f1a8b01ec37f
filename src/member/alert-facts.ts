/** What alerts are judged by, gathered from a member; see src/alerts/alert-rules.ts. */
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AlertFacts, BackupFacts, SpaceFact } from "../alerts/alert-rules.ts";
import { alertConfiguration } from "../config/alert-configuration.ts";
import type { StoredEvent } from "../journal/event-log.ts";
import type { MemberStatus } from "../status/member-status.ts";
import { freeSpace } from "./free-space.ts";
import type { MemberContext } from "./member-context.ts";
import { ownBackups } from "./own-backups.ts";
import type { Peer } from "./peer.ts";

interface Source {
  readonly context: MemberContext;
  readonly peers: ReadonlyMap<string, Peer>;
  ownStatus(): MemberStatus;
}

export function alertFacts(member: Source, unknownMs: AlertFacts["unknownMs"]): AlertFacts {
  const { context, peers } = member;
  const { configuration, self, nowMs } = context;
  const status = member.ownStatus();
  return {
    status,
    thresholds: alertConfiguration(configuration, self),
    delayMs: status.role === "mirror" ? self.delayMs : 0,
    unknownMs,
    others: [...peers].map(([member, peer]) => ({ member, type: peer.member.type, state: peer.status?.state ?? null })),
    space: spaceFacts(context),
    backups: backupFacts(context),
    nowMs: nowMs(),
  };
}

/** Each file system once. */
function spaceFacts({ configuration, self, databases }: MemberContext): SpaceFact[] {
  const journal = join(self.state, "journal");
  const places = new Map([[statSync(journal).dev, { place: "journal", path: journal }]]);
  for (const file of databases.values()) {
    // The file itself, because its path may be a symbolic link to another file system.
    let path = file;
    let dev = deviceOf(path);
    if (dev === null) {
      path = dirname(file);
      dev = deviceOf(path);
    }
    if (dev !== null && !places.has(dev)) places.set(dev, { place: dirname(file), path });
  }
  return [...places.values()].map(({ place, path }) => {
    const { free, least } = freeSpace(path, configuration.journal);
    return { place, freeBytes: free, leastBytes: least };
  });
}

function deviceOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.dev ?? null;
}

function backupFacts(context: MemberContext): BackupFacts {
  const { backup } = context.self;
  const isMade = backup !== null && backup.schedule !== null && (context.role === "mirror" || backup.allowOperational);
  if (!isMade) return { expected: [], newest: new Map(), failed: new Map() };
  const expected = [...context.databases.keys()];
  return { expected, newest: ownBackups(context), failed: failedBackups(context, expected) };
}

function failedBackups({ store }: MemberContext, databases: readonly string[]): BackupFacts["failed"] {
  const failures = [
    ...store.events({ code: "BACKUP_FAILED" }),
    ...store.events({ code: "JOB_FAILED" }).filter(({ data }) => isOfBackups(data)),
  ].sort((a, b) => a.atMs - b.atMs);
  const of = (failure: StoredEvent) => (failure.database === null ? databases : [failure.database]);
  return new Map(
    failures.flatMap((failure) =>
      of(failure).map((name) => [name, { atMs: failure.atMs, message: failure.message }] as const),
    ),
  );
}

function isOfBackups(data: unknown): boolean {
  return typeof data === "object" && data !== null && "job" in data && data.job === "backup";
}
