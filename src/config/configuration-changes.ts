/** What differs between two readings of a configuration file, by the names of the keys. */
import type { Configuration } from "./configuration.ts";

/** Where a field has another name than its key, because the field's says its unit. */
const KEY_OF_FIELD: Readonly<Record<string, string>> = {
  databasePatterns: "databases",
  delayMs: "delay",
  minIntervalMs: "minInterval",
  retentionMs: "retention",
  giveUpAfterMs: "giveUpAfter",
  minFreeBytes: "minFree",
  timeLimitMs: "timeLimit",
  intervalMs: "interval",
  receivedLagMs: "receivedLag",
  integratedLagMs: "integratedLag",
  upstreamSilentMs: "upstreamSilent",
  followerAwayMs: "followerAway",
  receiptAgeMs: "receiptAge",
  topologyUnsafeMs: "topologyUnsafe",
  spoolShare: "spool",
  freeSpaceBytes: "freeSpace",
  quarantineFiles: "quarantine",
  backupAgeMs: "backupAge",
  errorsMs: "errors",
};

/** Sorted, such as `journal.rotate`, `members.faro` (added or removed), `members.porto.follows`. */
export function changedKeys(before: Configuration, after: Configuration): string[] {
  const { path: _, ...old } = before;
  const { path: __, ...fresh } = after;
  return [...new Set(differences("", old, fresh))].sort();
}

/** The keys of {@link changedKeys} that only a restart of the member `name` can apply. */
export function keysForRestart(keys: readonly string[], after: Configuration, name: string): string[] {
  const self = `members.${name}`;
  const fixed = ["mirror", "operational", `${self}.mailbox`, `${self}.directory`, `${self}.state`];
  return keys.filter((key) => fixed.includes(key) || (key === self && !after.members.has(name)));
}

function differences(path: string, before: unknown, after: unknown): string[] {
  const [old, fresh] = [fieldsOf(before), fieldsOf(after)];
  if (old === null || fresh === null) return JSON.stringify(before) === JSON.stringify(after) ? [] : [path];
  const names = new Set([...old.keys(), ...fresh.keys()]);
  return [...names].flatMap((name) => {
    const key = KEY_OF_FIELD[name] ?? name;
    return differences(path === "" ? key : `${path}.${key}`, old.get(name), fresh.get(name));
  });
}

/** Null for what is compared as a whole: values, and a schedule. */
function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | null {
  if (value instanceof Map) return value;
  if (typeof value !== "object" || value === null || Array.isArray(value) || "kind" in value) return null;
  return new Map(Object.entries(value));
}
