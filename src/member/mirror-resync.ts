/**
 * Makes a mirror's copy equal to its upstream's again, whatever it holds, by the pages that differ: page checksums go one
 * way, through this member's mailbox, and one file with pages comes back (docs/MAILBOX.md, "Resynchronising a copy").
 *
 * Guarantee: readers see the copy as it was or as the upstream's was at one position, proved by its checksum, and never
 * go back behind what they have seen, but for a copy that held what is in no later epoch. Page checksums are read from the
 * pages themselves. What was ordered is remembered until it is done; a crash at any point, or a copy that changes meanwhile,
 * begins again with a new request, so that no answer is taken for another question. One thing at a time: the caller sees to
 * that.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeDirectory, removeFile } from "../durable-files.ts";
import { AfterimageError } from "../errors.ts";
import type { ResyncMethod, ResyncOrder, ResyncReason } from "../journal/resync-ledger.ts";
import { formatChecksum, formatTxid, type Txid, toTxid } from "../ltx/position.ts";
import type { SegmentSummary } from "../ltx/verify-segment.ts";
import { DatabaseError } from "../sqlite/database-error.ts";
import type { ResyncView } from "../status/member-status.ts";
import { checkDifference } from "./arrival-check.ts";
import { errorView } from "./error-view.ts";
import { type AppliedCopy, FoundCopy, replaceDatabase, unusableCopy } from "./found-copy.ts";
import { assertFree } from "./free-space.ts";
import type { Inbox } from "./inbox.ts";
import { parseDifferenceName } from "./inbox-directory.ts";
import { arrivalEpoch, assertNotDiverged, newestSnapshot, seenTxid } from "./journal-epochs.ts";
import { assertNoLinks, linkIn } from "./mailbox-links.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";
import type { MirrorCopy } from "./mirror-copy.ts";
import { recordResync } from "./resync-record.ts";

/** Below the mailbox; other members may read what is in it. */
export const RESYNC_DIRECTORY = "resync";

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

/** Points between which a resync may die, in order. */
export type ResyncStep = "resync-begun" | "resync-asked" | "resync-verified" | "resync-applied" | "resync-adopted";

/** Keeps backups away while the copy is changed. */
export interface CopyLock {
  /** False when a backup has the database. */
  take(): boolean;
  free(): void;
}

export interface ResyncParts {
  readonly name: string;
  readonly path: string;
  readonly copy: MirrorCopy;
  readonly inbox: Inbox;
  readonly lock: CopyLock;
  readonly onStep: (step: ResyncStep) => void;
}

/** What came of a turn. `gap`: done, and the journal here begins anew, without a snapshot to begin with. */
export type ResyncOutcome = "waiting" | "done" | "gap";

interface Request {
  readonly id: string;
  /** Where the answer is awaited, also when the journal comes to another epoch meanwhile. */
  readonly directory: string;
  /** As it is, and open; null when all pages were asked for. */
  readonly found: FoundCopy | null;
}

interface Answer {
  readonly name: string;
  readonly path: string;
  readonly maxTxid: Txid;
}

export class MirrorResync {
  readonly #context: MemberContext;
  readonly #parts: ResyncParts;
  #request: Request | null = null;
  #view: ResyncView | null = null;
  /** An answer that was found good, and waits for a backup to end. */
  #verifiedAnswer: { readonly name: string; readonly summary: SegmentSummary } | null = null;
  #failures = 0;
  /** What kept the last attempt from succeeding. */
  #error: ResyncView["error"] = null;
  #retryAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: MemberContext, parts: ResyncParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** What is to be done, or is being done; null when nothing is. */
  get order(): ResyncOrder | null {
    return this.#context.store.resyncs.get(this.#parts.name);
  }

  /** What status shows, and the upstream acts on. */
  get view(): ResyncView | null {
    return this.#view ?? (this.order === null ? null : this.#blank("0".repeat(16)));
  }

  /** Orders a resync, in place of one that goes on. @throws MemberError DIVERGED when what only this copy has is not kept. */
  async begin(method: ResyncMethod, reason: ResyncReason): Promise<void> {
    assertNotDiverged(this.#context, this.#parts.name);
    await this.close();
    const { store, nowMs, event } = this.#context;
    store.resyncs.save(this.#parts.name, { method, reason, atMs: nowMs() });
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
    this.#error = null;
    const what = method === "resync" ? "the pages that differ are fetched" : "all pages are fetched";
    event("warn", "RESYNC_BEGUN", this.#parts.name, `${what}: ${REASONS[reason]}`, { method, reason });
    this.#parts.onStep("resync-begun");
  }

  /**
   * The upstream no longer has the segments that the copy needs next: orders a resync. Not of one that an operator has to look
   * at first, nor before all that is here is integrated.
   */
  async goOn(): Promise<void> {
    const { received, integrated, error } = this.#context.store.database(this.#parts.name) ?? {};
    const isLevel = integrated != null && received?.txid === integrated.txid;
    if (this.order === null && isLevel && error == null) await this.begin("resync", "given up");
  }

  /** Puts a file in the place of the copy, and orders a resync of it. @throws MemberError COPY_EXISTS */
  async seed(file: string, { replace }: { readonly replace: boolean }): Promise<void> {
    const { name, path, copy } = this.#parts;
    const hasCopy = existsSync(path) || this.#context.store.database(name)?.integrated != null;
    if (hasCopy && !replace) {
      throw new MemberError("COPY_EXISTS", `there is a copy of ${name} already`, {
        path,
        hint: "Give --yes to replace it; `afterimage rebuild` makes it equal to the upstream's instead.",
      });
    }
    // What was ordered stays when this is cut off: then it is the old copy that is compared.
    await this.begin("resync", "seed");
    await copy.abandon();
    copy.makeDirectory();
    replaceDatabase(file, path);
  }

  /**
   * Goes on with what was ordered: asks, or takes what was answered. Throws what keeps it from doing so; it is tried again,
   * later with every failure.
   */
  async turn(): Promise<ResyncOutcome> {
    const { order } = this;
    if (order === null || this.#context.nowMs() < this.#retryAtMs) return "waiting";
    try {
      this.#request ??= await this.#ask(order);
      if (!(await this.#isUnchanged(this.#request))) return "waiting";
      const answer = this.#answer(this.#request);
      const outcome = answer === null ? "waiting" : await this.#take(this.#request, answer);
      this.#error = null;
      if (outcome !== "waiting") this.#failures = 0;
      return outcome;
    } catch (error) {
      this.#error = errorView(error, this.#context.nowMs());
      await this.close();
      const backoffMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++);
      this.#retryAtMs = this.#context.nowMs() + backoffMs;
      throw error;
    }
  }

  /** Lets go of the copy and of the request; what was ordered stays so. */
  async close(): Promise<void> {
    const request = this.#request;
    this.#request = null;
    this.#verifiedAnswer = null;
    this.#show(null);
    this.#parts.inbox.awaitedDifference = null;
    await request?.found?.close();
    this.#clear();
  }

  get #directory(): string {
    return join(this.#context.self.directory, RESYNC_DIRECTORY, this.#parts.name);
  }

  /** What lies behind a link is nothing of ours. */
  #clear(): void {
    if (linkIn(this.#context.self.directory, this.#directory) !== null) return;
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Reads the copy and publishes its page checksums. */
  async #ask({ method }: ResyncOrder): Promise<Request> {
    const { name, path, copy, inbox, onStep } = this.#parts;
    await copy.abandon();
    this.#clear();
    assertNoLinks(this.#context.self.directory, this.#directory);
    const id = randomBytes(8).toString("hex");
    const view = this.#blank(id);
    const found = method === "resync" && existsSync(path) ? await this.#find(view) : null;
    const file = `${RESYNC_DIRECTORY}/${name}/${id}.sums`;
    const facts = found === null ? {} : { ...found.facts, file, from: this.#next(found) };
    inbox.awaitedDifference = id;
    this.#show({ ...view, ...facts, state: "asking" });
    onStep("resync-asked");
    return { id, found, directory: inbox.directory };
  }

  #blank(id: string): ResyncView {
    const atLeast = formatTxid(seenTxid(this.#context, this.#parts.name));
    const copy = { file: null, sha256: null, pageSize: null, pages: 0, checksum: null, from: null };
    const epoch = arrivalEpoch(this.#context, this.#parts.name);
    return { id, epoch, state: "preparing", ...copy, atLeast, done: 0, total: null, error: this.#error };
  }

  async #find(view: ResyncView): Promise<FoundCopy> {
    const { path } = this.#parts;
    const { configuration, store, self } = this.#context;
    const total = Math.ceil(statSync(path).size / (store.database(this.#parts.name)?.pageSize ?? 4096));
    makeDirectory(this.#directory);
    assertFree(self.directory, configuration.journal, { bytes: 8 * total, what: "page checksums" });
    this.#show({ ...view, total });
    return await FoundCopy.open(path, {
      sumsPath: join(this.#directory, `${view.id}.sums`),
      chunks: store.chunkStore(this.#parts.name),
      onPage: () => {
        if (this.#view !== null) this.#view.done++;
      },
    });
  }

  /** The transaction after the copy's state, when that is proved to be where the journal ends. */
  #next({ facts }: FoundCopy): string | null {
    const { received, integrated } = this.#context.store.database(this.#parts.name) ?? {};
    const isEnd = received != null && received.txid === integrated?.txid;
    return isEnd && formatChecksum(received.checksum) === facts.checksum
      ? formatTxid(toTxid(received.txid + 1n))
      : null;
  }

  /** False when something has touched the copy: what was asked is void then. */
  async #isUnchanged({ found }: Request): Promise<boolean> {
    try {
      await found?.examine();
      return true;
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      this.#context.logger.warn({ err: error, database: this.#parts.name }, "the copy has changed; it is read again");
      await this.close();
      return false;
    }
  }

  #answer({ id, directory }: Request): Answer | null {
    for (const name of readdirSync(directory)) {
      const difference = parseDifferenceName(name);
      if (difference?.id === id) return { name, path: join(directory, name), maxTxid: difference.maxTxid };
    }
    return null;
  }

  async #take(request: Request, answer: Answer): Promise<ResyncOutcome> {
    const { lock, onStep } = this.#parts;
    const summary = await this.#verified(request, answer);
    if (summary === null) return "waiting";
    onStep("resync-verified");
    if (!lock.take()) return "waiting";
    try {
      if (this.#view !== null) this.#show({ ...this.#view, state: "applying" });
      const applied = await this.#apply(request, answer, summary);
      onStep("resync-applied");
      return await this.#record(answer, summary, applied);
    } finally {
      lock.free();
    }
  }

  /** Null, and the file in quarantine, when it must not be applied: then it is asked for anew. */
  async #verified({ found }: Request, answer: Answer): Promise<SegmentSummary | null> {
    const { name, inbox } = this.#parts;
    const row = this.#context.store.database(name);
    if (this.#verifiedAnswer?.name === answer.name) return this.#verifiedAnswer.summary;
    try {
      const summary = await checkDifference(this.#context, name, answer, {
        checksum: found?.checksum ?? null,
        atLeast: seenTxid(this.#context, name),
        pageSize: row?.pageSize ?? null,
      });
      this.#verifiedAnswer = { name: answer.name, summary };
      return summary;
    } catch (error) {
      if (!(error instanceof AfterimageError)) throw error;
      await inbox.quarantine.put(answer.path, answer.name, error);
      await this.close();
      return null;
    }
  }

  async #apply({ found, id }: Request, answer: Answer, summary: SegmentSummary): Promise<AppliedCopy> {
    const { name, path, copy } = this.#parts;
    const { store, configuration } = this.#context;
    copy.makeDirectory();
    const bytes = (found === null ? 1 : 2) * summary.pages * summary.header.pageSize;
    assertFree(dirname(path), configuration.journal, { bytes, what: `the database ${name}` });
    const chunks = store.chunkStore(name);
    makeDirectory(this.#directory);
    const sumsPath = join(this.#directory, `${id}.sums`);
    const copyNow = found ?? (await FoundCopy.open(path, { sumsPath, chunks }).catch(unusableCopy));
    try {
      if (copyNow?.pageSize === summary.header.pageSize) return await copyNow.apply(answer.path, summary);
    } catch (error) {
      await copyNow?.close();
      throw error;
    }
    await copyNow?.close();
    return await FoundCopy.replace(path, { answerPath: answer.path, summary, chunks });
  }

  async #record(answer: Answer, summary: SegmentSummary, applied: AppliedCopy): Promise<ResyncOutcome> {
    const { name, copy, onStep } = this.#parts;
    const { maxTxid } = summary.header;
    const isWhole = await recordResync(this.#context, name, { answerPath: answer.path, summary, applied, onStep });
    const work = this.#context.work.finish({ kind: "resync", database: name }, summary.bytes);
    this.#context.store.saveDatabase(name, { closedSignature: await applied.close() });
    await this.close();
    copy.reload();
    removeFile(answer.path);
    const { pages, bytes } = summary;
    const message = `the copy equals the upstream's at ${formatTxid(maxTxid)}: ${pages} pages were fetched`;
    this.#context.event("info", "RESYNCED", name, message, { pages, bytes, txid: formatTxid(maxTxid), ...work });
    this.#context.journalGrew(name);
    return isWhole && newestSnapshot(this.#context, name) !== null ? "done" : "gap";
  }

  #show(view: ResyncView | null): void {
    if (view === null && this.#view === null) return;
    this.#view = view;
    this.#context.changed();
  }
}

const REASONS: Readonly<Record<ResyncReason, string>> = {
  operator: "an operator has ordered it",
  seed: "a copy was put in place",
  "given up": "the upstream no longer has the segments that this copy needs",
  rejoin: "it holds transactions that are in no later epoch, and that are kept",
};
