/**
 * Answers a follower's requests for the pages in which its copies differ: fetches the page checksums from its mailbox,
 * compares, and puts one file into its inbox.
 *
 * Guarantee: a request is answered once by one process; the follower takes only the answer to its present request. A failure
 * is an event and is tried again, and keeps nothing else from being shipped.
 */
import { join } from "node:path";
import { removeFile } from "../durable-files.ts";
import { AfterimageError } from "../errors.ts";
import { BYTES_PER_PAGE_SUM } from "../sqlite/page-sums.ts";
import type { ResyncView } from "../status/member-status.ts";
import type { Transport } from "../transport/transport.ts";
import { TransportError } from "../transport/transport-error.ts";
import { errorView } from "./error-view.ts";
import { assertFree } from "./free-space.ts";
import { formatDifferenceName, inboxDirectory } from "./inbox-directory.ts";
import type { MemberContext } from "./member-context.ts";
import { type ComparedDatabase, type DifferenceFile, writeDifference } from "./resync-answer.ts";

const RETRY_MS = 10_000;
/** Until there is something to answer with. */
const WAIT_MS = 500;

export interface AnswerSource {
  readonly follower: string;
  /** A directory of this shipper's alone. */
  readonly outbox: string;
  /** The duty of a database; undefined for one that is served no longer. */
  database(name: string): ComparedDatabase | undefined;
  transport(): Transport;
  /** Puts a local file into the follower's mailbox. */
  put(path: string, file: FileUnderWay, stop: AbortSignal): Promise<void>;
}

/** A file for a mailbox, by its name there. */
export interface FileUnderWay {
  readonly database: string;
  readonly name: string;
  readonly bytes: number;
}

interface Attempt {
  readonly id: string;
  readonly state: "answered" | "failed" | "early";
  readonly nextAtMs: number;
}

export class ResyncAnswers {
  readonly #context: MemberContext;
  readonly #source: AnswerSource;
  readonly #attempts = new Map<string, Attempt>();

  constructor(context: MemberContext, source: AnswerSource) {
    this.#context = context;
    this.#source = source;
  }

  /**
   * Answers the request if that is due. Throws only what the follower's mailbox throws.
   * @returns whether it was answered just now.
   */
  async answer(database: string, request: ResyncView, stop: AbortSignal): Promise<boolean> {
    const attempt = this.#attempts.get(database);
    const isDue = attempt?.id !== request.id || this.#context.nowMs() >= attempt.nextAtMs;
    const duty = this.#source.database(database);
    if (request.state !== "asking" || !isDue || duty === undefined) return false;
    const [path, sumsPath] = ["ltx", "sums"].map((kind) =>
      join(this.#source.outbox, `${database}-${request.id}.${kind}`),
    );
    if (path === undefined || sumsPath === undefined) return false;
    try {
      const file = await this.#write(duty, request, { path, sumsPath, stop });
      if (file !== null) await this.#deliver(database, request, { ...file, path }, stop);
      this.#note(database, request.id, file === null ? "early" : "answered");
      return file !== null;
    } catch (error) {
      if (stop.aborted || isTheirs(error) || !(error instanceof AfterimageError)) throw error;
      if (attempt?.id !== request.id || attempt.state !== "failed") this.#report(database, error);
      // An earlier process has answered the same request, with a later state perhaps.
      this.#note(database, request.id, error.code === "TARGET_DIFFERS" ? "answered" : "failed");
      return false;
    } finally {
      removeFile(path);
      removeFile(sumsPath);
    }
  }

  async #write(
    duty: ComparedDatabase,
    request: ResyncView,
    { path, sumsPath, stop }: { path: string; sumsPath: string; stop: AbortSignal },
  ): Promise<DifferenceFile | null> {
    const { file, pages } = request;
    if (file !== null) {
      const { self, configuration } = this.#context;
      assertFree(self.state, configuration.journal, { bytes: BYTES_PER_PAGE_SUM * pages, what: "page checksums" });
      // The follower has begun anew meanwhile: its status says so soon.
      if ((await this.#source.transport().get(file, sumsPath, { signal: stop })) === null) return null;
    }
    return await writeDifference(this.#context, duty, {
      request,
      sumsPath: file === null ? null : sumsPath,
      path,
      stop,
    });
  }

  async #deliver(
    database: string,
    { id, epoch }: ResyncView,
    file: DifferenceFile & { path: string },
    stop: AbortSignal,
  ): Promise<void> {
    const { maxTxid, pages, bytes } = file;
    const name = `${inboxDirectory(database, epoch)}/${formatDifferenceName({ maxTxid, id })}`;
    await this.#source.put(file.path, { database, name, bytes }, stop);
    const { follower } = this.#source;
    const message = `${follower} was sent the ${pages} pages in which its copy differs`;
    this.#context.event("info", "RESYNC_ANSWERED", database, message, { follower, pages, bytes });
  }

  #report(database: string, error: AfterimageError): void {
    const { code, message } = errorView(error, this.#context.nowMs());
    const { follower } = this.#source;
    const text = `${follower} cannot be sent the pages in which its copy differs: ${message}`;
    this.#context.event("error", "RESYNC_FAILED", database, text, { follower, error: code });
  }

  #note(database: string, id: string, state: Attempt["state"]): void {
    const waitMs = { answered: Number.POSITIVE_INFINITY, failed: RETRY_MS, early: WAIT_MS }[state];
    this.#attempts.set(database, { id, state, nextAtMs: this.#context.nowMs() + waitMs });
  }
}

/** Of the follower's mailbox: nothing can be shipped there now. */
function isTheirs(error: unknown): boolean {
  return error instanceof TransportError && error.code !== "LOCAL_FAILED" && error.code !== "TARGET_DIFFERS";
}
