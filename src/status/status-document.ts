/**
 * The text of `status.json`, which begins with a sign of life: what changes with every heartbeat, and a fingerprint of all the rest.
 *
 * Guarantee: a sign of life and an earlier document with the same fingerprint make the document that the sign is of. So whoever
 * reads a status again and again need read all of it only when something has happened, however many databases there are.
 */
import { hash } from "node:crypto";
import { z } from "zod";
import { type DatabaseStatus, type FollowerStatus, type MemberStatus, runSchema } from "./member-status.ts";

/** In a fingerprint, of a copy that is as old as the newest that the member knows. */
const MEMBERS_AGE = -1;

const KEY = '{"life":';
const END = ",\n";

const lifeSignSchema = z.object({
  /** Fingerprint of what is not in the sign. */
  contents: z.string(),
  heartbeat: z.string().nullable(),
  upstreamAgeSeconds: z.number().nullable(),
  run: runSchema.nullable(),
  seen: z.record(z.string(), runSchema),
  /** By follower, its heartbeat. */
  followers: z.record(z.string(), z.string().nullable()),
  /** On the file system of the journal. */
  freeBytes: z.number().nullable(),
});

export type LifeSign = z.infer<typeof lifeSignSchema>;

/** One JSON document; the sign is the value of its first key, and ends with the first line. */
export function formatStatusDocument(status: MemberStatus): string {
  const sign: LifeSign = {
    contents: hash("sha256", JSON.stringify(steadyPart(status))),
    heartbeat: status.heartbeat,
    upstreamAgeSeconds: status.upstreamAgeSeconds ?? null,
    run: status.run ?? null,
    seen: status.seen ?? {},
    followers: mapValues(status.followers, ({ heartbeat }) => heartbeat),
    freeBytes: status.journal?.freeBytes ?? null,
  };
  return `${KEY}${JSON.stringify(sign)}${END}${JSON.stringify(status).slice(1)}\n`;
}

/** The sign at the beginning of a document; null when it is not all there, or it has none. */
export function parseLifeSign(start: Uint8Array): LifeSign | null {
  const end = start.indexOf(END.charCodeAt(1));
  const line = Buffer.from(start.buffer, start.byteOffset, Math.max(0, end)).toString("utf8");
  if (!line.startsWith(KEY)) return null;
  try {
    return lifeSignSchema.safeParse(JSON.parse(line.slice(KEY.length, -1))).data ?? null;
  } catch {
    return null;
  }
}

/** The document that the sign is of, by an earlier one with the same contents. */
export function withLifeSign(status: MemberStatus, sign: LifeSign): MemberStatus {
  if (status.heartbeat === sign.heartbeat) return status;
  const { heartbeat, upstreamAgeSeconds, run, seen, followers, freeBytes } = sign;
  const age = status.upstreamAgeSeconds ?? null;
  return {
    ...status,
    ...{ heartbeat, upstreamAgeSeconds, run, seen },
    databases: mapValues(status.databases, (database) => withAge(database, age, upstreamAgeSeconds)),
    followers: mapValues(status.followers, (follower, name) => ({ ...follower, heartbeat: followers[name] ?? null })),
    journal: status.journal === null || freeBytes === null ? status.journal : { ...status.journal, freeBytes },
  };
}

/** All that the sign does not have. */
function steadyPart(status: MemberStatus): object {
  const { databases, followers, journal, ...others } = status;
  const age = status.upstreamAgeSeconds ?? null;
  return {
    ...others,
    ...{ heartbeat: null, upstreamAgeSeconds: null, run: null, seen: null },
    databases: mapValues(databases, (database) => withAge(database, age, MEMBERS_AGE)),
    followers: mapValues(followers, (follower): FollowerStatus => ({ ...follower, heartbeat: null })),
    journal: journal === null ? null : { ...journal, freeBytes: 0 },
  };
}

/** Most copies are as old as the newest that the member knows: their age becomes `next`. */
function withAge(database: DatabaseStatus, age: number | null, next: number | null): DatabaseStatus {
  const { staleSeconds, receivedStaleSeconds } = database;
  if (age === null || staleSeconds !== age || receivedStaleSeconds !== age) return database;
  return { ...database, staleSeconds: next, receivedStaleSeconds: next };
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  change: (value: From, key: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]));
}
