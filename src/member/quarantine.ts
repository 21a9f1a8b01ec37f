/**
 * Files of one database that were refused: `quarantine/<database>/`, each with a reason that a human can read.
 *
 * Guarantee: nothing is refused without an event, and of every refused content one copy is kept until there are too many;
 * then the oldest go, with another event, damaged ones before intact ones of another history. Their reasons stay. The
 * sender keeps its own copies by its own retention.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { fsyncDirectoryAsync, makeDirectory, writeFileDurably } from "../durable-files.ts";
import type { AfterimageError } from "../errors.ts";
import { openForReading } from "../file-contents.ts";
import { moveFile } from "../move-file.ts";
import { errorView } from "./error-view.ts";
import type { MemberContext } from "./member-context.ts";

export interface QuarantineLimits {
  readonly files: number;
  readonly bytes: number;
}

/** Of one database. */
const LIMITS: QuarantineLimits = { files: 1_000, bytes: 1024 * 1024 * 1024 };
/** How much of each limit is left after files had to go, so that not every further one makes others go. */
const KEPT_SHARE = 0.9;
const MAX_REASONS = 10_000;
const COUNT_INTERVAL_MS = 10_000;
const REASON_SUFFIX = ".reason.json";

/** Whole files that say what somebody else's history is; damaged ones say nothing that the sender does not have. */
const OF_ANOTHER_HISTORY = new Set(["SEGMENT_CHAIN", "SEGMENT_EPOCH", "SEGMENT_SENDER", "SEGMENT_OVERLAP"]);

const reasonSchema = z.object({
  /** What it was called in the inbox. */
  name: z.string(),
  database: z.string(),
  bytes: z.number(),
  /** Of the contents, in hexadecimal. */
  sha256: z.string(),
  /** How often the same contents were refused. */
  times: z.number(),
  code: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
  /** ISO 8601: the first and the last time. */
  since: z.string(),
  last: z.string(),
});

type Reason = z.infer<typeof reasonSchema>;

interface Entry {
  readonly path: string;
  readonly reason: Reason;
}

export class Quarantine {
  readonly #context: MemberContext;
  readonly #database: string;
  readonly #directory: string;
  readonly #limits: QuarantineLimits;
  /** By SHA-256; null before the directory was read. */
  #entries: Map<string, Entry> | null = null;
  #count = { files: 0, atMs: Number.NEGATIVE_INFINITY };

  constructor(context: MemberContext, database: string, limits = LIMITS) {
    this.#context = context;
    this.#limits = limits;
    this.#database = database;
    this.#directory = join(context.self.state, "quarantine", database);
  }

  /** Refused files that are here; files that were removed by hand are no longer counted after a while. */
  get count(): number {
    const nowMs = this.#context.nowMs();
    if (nowMs - this.#count.atMs >= COUNT_INTERVAL_MS) {
      const names = existsSync(this.#directory) ? readdirSync(this.#directory) : [];
      this.#count = { files: names.filter((name) => !isReason(name)).length, atMs: nowMs };
    }
    return this.#count.files;
  }

  /** Moves a file here. Contents that are here already are dropped and counted. */
  async put(path: string, name: string, error: AfterimageError): Promise<void> {
    const nowMs = this.#context.nowMs();
    const view = errorView(error, nowMs);
    const { sha256, bytes } = await digestOf(path);
    const known = this.#known(sha256);
    makeDirectory(this.#directory);
    if (known !== null) {
      this.#writeReason({ ...known, reason: { ...known.reason, times: known.reason.times + 1, last: view.since } });
      await rm(path);
      this.#context.logger.warn({ database: this.#database, path: known.path, code: view.code }, "refused once more");
      return;
    }
    await this.#makeRoom(bytes);
    const target = join(this.#directory, `${nowMs}-${sha256.slice(0, 12)}-${name}`);
    const reason = { name, database: this.#database, bytes, sha256, times: 1, ...view, last: view.since };
    // The reason first: a file without one could not be told from one that somebody put there.
    this.#writeReason({ path: target, reason });
    await moveFile(path, target);
    await fsyncDirectoryAsync(this.#directory);
    this.#count.atMs = Number.NEGATIVE_INFINITY;
    const message = `${name} is in quarantine: ${view.message}`;
    this.#context.event("error", view.code, this.#database, message, { path: target });
    this.#context.hooks.quarantined(this.#database, { path: target, code: view.code, message: view.message });
    this.#context.changed();
  }

  #known(sha256: string): Entry | null {
    this.#entries ??= this.#read();
    const entry = this.#entries.get(sha256);
    return entry !== undefined && existsSync(entry.path) ? entry : null;
  }

  #writeReason(entry: Entry): void {
    writeFileDurably(`${entry.path}${REASON_SUFFIX}`, `${JSON.stringify(entry.reason, null, 2)}\n`);
    this.#entries?.set(entry.reason.sha256, entry);
  }

  /** Those whose contents are still here. */
  #read(): Map<string, Entry> {
    const entries = new Map<string, Entry>();
    const names = existsSync(this.#directory) ? readdirSync(this.#directory) : [];
    const contents = new Set(names.filter((name) => !isReason(name)));
    for (const name of names.filter(isReason).sort()) {
      const path = join(this.#directory, name.slice(0, -REASON_SUFFIX.length));
      const reason = readReason(`${path}${REASON_SUFFIX}`);
      if (reason !== null && contents.has(name.slice(0, -REASON_SUFFIX.length)))
        entries.set(reason.sha256, { path, reason });
    }
    return entries;
  }

  async #makeRoom(bytes: number): Promise<void> {
    if (this.#fits(this.#entries ?? new Map(), bytes, 1)) return;
    // Somebody may have cleaned up meanwhile.
    const entries = this.#read();
    this.#entries = entries;
    const removed: Entry[] = [];
    const oldestFirst = [...entries.values()].sort((a, b) => weight(a) - weight(b) || (a.path < b.path ? -1 : 1));
    const share = this.#fits(entries, bytes, 1) ? 1 : KEPT_SHARE;
    for (const entry of oldestFirst) {
      if (this.#fits(entries, bytes, share)) break;
      await rm(entry.path, { force: true });
      entries.delete(entry.reason.sha256);
      removed.push(entry);
    }
    if (removed.length === 0) return;
    await this.#forgetOldReasons();
    const message = `${removed.length} refused files were removed, because there are too many; their reasons are still there`;
    this.#context.event("warn", "QUARANTINE_FULL", this.#database, message, {
      files: removed.length,
      bytes: removed.reduce((sum, { reason }) => sum + reason.bytes, 0),
      directory: this.#directory,
    });
  }

  /** Whether one more file of `bytes` fits into `share` of the limits. A single file may be of any size. */
  #fits(entries: ReadonlyMap<string, Entry>, bytes: number, share: number): boolean {
    let sum = bytes;
    for (const { reason } of entries.values()) sum += reason.bytes;
    const { files: maxFiles, bytes: maxBytes } = this.#limits;
    return entries.size === 0 || (entries.size < share * maxFiles && sum <= share * maxBytes);
  }

  async #forgetOldReasons(): Promise<void> {
    const reasons = (await readdir(this.#directory)).filter(isReason).sort();
    for (const name of reasons.slice(0, Math.max(0, reasons.length - MAX_REASONS))) rmSync(join(this.#directory, name));
  }
}

function isReason(name: string): boolean {
  return name.endsWith(REASON_SUFFIX);
}

function weight({ reason }: Entry): number {
  return OF_ANOTHER_HISTORY.has(reason.code) ? 1 : 0;
}

function readReason(path: string): Reason | null {
  try {
    return reasonSchema.safeParse(JSON.parse(readFileSync(path, "utf8"))).data ?? null;
  } catch {
    return null;
  }
}

async function digestOf(path: string): Promise<{ sha256: string; bytes: number }> {
  const handle = await openForReading(path);
  const hash = createHash("sha256");
  let bytes = 0;
  await pipeline(handle.createReadStream(), async (chunks) => {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
    }
  });
  return { sha256: hash.digest("hex"), bytes };
}
