/**
 * A mailbox behind an SSH server: OpenSSH's, the endpoint inside another member's daemon, or another one.
 *
 * Guarantee: what the Transport interface says, over one connection that all callers share, and that the first call after
 * its loss makes anew. A name is taken with hardlink@openssh.com, which never replaces; where a server does not have
 * it, by a rename after a look. Contents are synced with fsync@openssh.com before they get their name. What cannot be had:
 * SFTP has no way to sync a directory, so that only a follower's receipt proves that a file is durable; links inside
 * the mailbox are the server's to refuse; and a server without posix-rename@openssh.com cannot replace a name at once.
 */
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, posix } from "node:path";
import type { SshConfiguration } from "../config/configuration.ts";
import { fsyncDirectoryAsync, uniquePartPath } from "../durable-files.ts";
import { openForReading } from "../file-contents.ts";
import { localError } from "./file-system-error.ts";
import { readSmall } from "./read-small.ts";
import { type Bandwidth, TokenBucket, UNLIMITED } from "./sftp-bandwidth.ts";
import { sftpError } from "./sftp-error.ts";
import { missingExtensions } from "./sftp-extensions.ts";
import { removeStaleParts } from "./sftp-part.ts";
import { type Place, pathOf, publishBytes, putFile, requireMailbox } from "./sftp-put.ts";
import { OPEN_READ, SftpSession } from "./sftp-session.ts";
import { statusOf } from "./sftp-status.ts";
import { download } from "./sftp-transfer.ts";
import { connect, type SshTarget, type SshTimes } from "./ssh-connection.ts";
import type { ReadLimits, TransferOptions, Transport, TransportEntry } from "./transport.ts";
import { TransportError } from "./transport-error.ts";
import { splitDirectoryName, splitName } from "./transport-name.ts";

const FILE_OF_EVERY_MACHINE = "/etc/passwd";

export interface SftpTimes extends SshTimes {
  /** How long the server may leave every request without an answer. */
  readonly deadlineMs: number;
}

const TIMES: SftpTimes = { connectTimeoutMs: 20_000, keepAliveMs: 10_000, deadlineMs: 30_000 };
/** How often a directory is searched for temporary files that nobody will go on with. */
const CLEANING_INTERVAL_MS = 60 * 60 * 1000;

export interface SftpMailbox extends SshTarget {
  /** The mailbox's path on the server. */
  readonly path: string;
  /** Bytes a second; null for no limit. */
  readonly bandwidth: number | null;
}

export class SftpTransport implements Transport {
  readonly #mailbox: SftpMailbox;
  readonly #ssh: SshConfiguration;
  readonly #times: SftpTimes;
  readonly #bandwidth: Bandwidth;
  /** By directory, by this process's clock. */
  readonly #cleanedAtMs = new Map<string, number>();
  #session: SftpSession | null = null;
  #connecting: Promise<SftpSession> | null = null;
  #closed = false;

  constructor(mailbox: SftpMailbox, ssh: SshConfiguration, times: Partial<SftpTimes> = {}) {
    this.#mailbox = mailbox;
    this.#ssh = ssh;
    this.#times = { ...TIMES, ...times };
    this.#bandwidth = mailbox.bandwidth === null ? UNLIMITED : new TokenBucket(mailbox.bandwidth);
  }

  async put(localPath: string, name: string, options: TransferOptions = {}): Promise<"stored" | "present"> {
    const parts = splitName(name);
    const { signal } = options;
    const work = this.#attempt("put", name, signal, async (session) => {
      const local = await openLocal(localPath);
      try {
        const place = this.#place(session, parts);
        const onWritten = (part: string) => this.#clean(session, part);
        return await putFile(place, local, { bandwidth: this.#bandwidth, signal, onWritten });
      } finally {
        await local.close();
      }
    });
    return await untilAborted(work, signal);
  }

  async read(name: string, limits: ReadLimits): Promise<Uint8Array | null> {
    const parts = splitName(name);
    return await this.#attempt("read", name, undefined, async (session) => {
      return await this.#withFile(session, parts, async (handle) => {
        const { size } = await session.fstat(handle);
        const read = (target: Buffer, position: number) => session.read(handle, target, position);
        const bytes = await readSmall(read, size, limits);
        if (bytes !== null) return bytes;
        throw new TransportError("FILE_TOO_LARGE", `${name} has more than ${limits.maxBytes} bytes`, {
          path: this.#mailbox.path,
          hint: "Look at the file: it is not what it should be.",
        });
      });
    });
  }

  async get(name: string, localPath: string, options: TransferOptions = {}): Promise<number | null> {
    const parts = splitName(name);
    const { signal } = options;
    const work = this.#attempt("get", name, signal, async (session) => {
      return await this.#withFile(session, parts, async (handle) => {
        const { size } = await session.fstat(handle);
        await writeLocally(localPath, async (local) => {
          await download(session, handle, { size, signal }, async (chunk, position) => {
            for (let done = 0; done < chunk.length; )
              done += (await local.write(chunk, done, chunk.length - done, position + done)).bytesWritten;
          });
          signal?.throwIfAborted();
        });
        return size;
      });
    });
    return await untilAborted(work, signal);
  }

  async list(directory: string): Promise<TransportEntry[]> {
    const parts = splitDirectoryName(directory);
    return await this.#attempt("list", directory, undefined, async (session) => {
      const entries: TransportEntry[] = [];
      for (const { filename: name, attrs } of await this.#directory(session, parts)) {
        if (name.startsWith(".")) continue;
        const mtimeMs = attrs.mtime * 1000;
        if (attrs.isFile()) entries.push({ kind: "file", name, size: attrs.size, mtimeMs });
        else if (attrs.isDirectory()) entries.push({ kind: "directory", name, size: 0, mtimeMs });
      }
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  async remove(name: string): Promise<void> {
    const place = splitName(name);
    await this.#attempt("remove", name, undefined, async (session) => {
      try {
        await session.unlink(pathOf(this.#place(session, place)));
      } catch (error) {
        if (statusOf(error) !== "missing") throw error;
        await requireMailbox(session, this.#mailbox.path);
      }
    });
  }

  async publish(name: string, bytes: Uint8Array): Promise<void> {
    const parts = splitName(name);
    await this.#attempt("publish", name, undefined, async (session) => {
      await publishBytes(this.#place(session, parts), bytes, (part) => this.#clean(session, part));
    });
  }

  /** The extensions of OpenSSH's that are used here and that the server does not have; nothing is changed there. */
  async missingExtensions(): Promise<string[]> {
    const { path } = this.#mailbox;
    return await this.#attempt("ask for", "extensions", undefined, (session) => missingExtensions(session, path));
  }

  /** Whether this member's key lets it see files of the machine that are in no mailbox, as an account without a chroot does. */
  async seesMachine(): Promise<boolean> {
    return await this.#attempt("look beyond", "the mailbox", undefined, async (session) => {
      return (await session.lstatOrNull(FILE_OF_EVERY_MACHINE)) !== null;
    });
  }

  /** A connection that is being made is ended once it is there: a server that does not answer keeps nobody waiting. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#session?.end(closedError());
  }

  #place(session: SftpSession, parts: readonly [string, ...string[]]): Place {
    return { session, root: this.#mailbox.path, parts };
  }

  async #attempt<T>(
    step: string,
    name: string,
    signal: AbortSignal | undefined,
    action: (session: SftpSession) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    if (this.#closed) throw closedError();
    const session = await this.#connected();
    try {
      return await action(session);
    } catch (error) {
      throw sftpError(error, `${step} ${name}`, this.#mailbox.path);
    }
  }

  /** The connection that there is, or the one that is being made, or a new one. */
  async #connected(): Promise<SftpSession> {
    if (this.#session?.failure === null) return this.#session;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return await this.#connecting;
  }

  async #connect(): Promise<SftpSession> {
    // The loss may be told before there is a session to tell it to.
    const state: { session: SftpSession | null; failure: TransportError | null } = { session: null, failure: null };
    const connection = await connect(this.#mailbox, this.#ssh, this.#times, (failure) => {
      state.failure = failure;
      state.session?.fail(failure);
    });
    const session = new SftpSession(connection, this.#times.deadlineMs);
    state.session = session;
    if (state.failure !== null) session.fail(state.failure);
    if (this.#closed) await session.end(closedError());
    if (session.failure !== null) throw session.failure;
    this.#session = session;
    return session;
  }

  /** Null when there is no such file. */
  async #withFile<T>(
    session: SftpSession,
    parts: readonly [string, ...string[]],
    use: (handle: Buffer) => Promise<T>,
  ): Promise<T | null> {
    const handle = await this.#nullWhenMissing(session, () =>
      session.open(pathOf(this.#place(session, parts)), OPEN_READ),
    );
    if (handle === null) return null;
    try {
      return await use(handle);
    } finally {
      session.close(handle).catch(() => undefined);
    }
  }

  async #directory(session: SftpSession, parts: readonly string[]) {
    const path = posix.join(this.#mailbox.path, ...parts);
    return (await this.#nullWhenMissing(session, () => session.readDirectory(path))) ?? [];
  }

  /** @throws TransportError TARGET_MISSING when the mailbox itself is gone. */
  async #nullWhenMissing<T>(session: SftpSession, ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      if (statusOf(error) !== "missing") throw error;
      await requireMailbox(session, this.#mailbox.path);
      return null;
    }
  }

  async #clean(session: SftpSession, part: string): Promise<void> {
    const directory = dirname(part);
    const nowMs = performance.now();
    if (nowMs - (this.#cleanedAtMs.get(directory) ?? Number.NEGATIVE_INFINITY) < CLEANING_INTERVAL_MS) return;
    this.#cleanedAtMs.set(directory, nowMs);
    await removeStaleParts(session, directory, part);
  }
}

function closedError(): TransportError {
  return new TransportError("CLOSED", "the transport is closed");
}

/** The abort's reason as soon as there is one, also while a server is silent; what was begun ends by itself. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  const settled = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true, signal: settled.signal });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    settled.abort();
  }
}

async function openLocal(path: string): Promise<FileHandle> {
  try {
    return await openForReading(path);
  } catch (error) {
    throw localError(error, "read", path);
  }
}

/** Writes a local file under a temporary name, makes it durable, and puts it in its place. */
async function writeLocally(localPath: string, write: (local: FileHandle) => Promise<void>): Promise<void> {
  const part = uniquePartPath(localPath);
  try {
    const local = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
    try {
      await write(local);
      await local.sync();
    } finally {
      await local.close();
    }
    await rename(part, localPath);
    await fsyncDirectoryAsync(dirname(localPath));
  } catch (error) {
    throw localError(error, "write", localPath);
  } finally {
    await rm(part, { force: true });
  }
}
