/**
 * The requests of SFTP as promises, over one connection.
 *
 * Guarantee: every call ends. When no answer at all has come for the deadline while something is asked, or one request
 * stays without an answer for ten times as long, the connection is given up and all that is asked fails with TIMED_OUT;
 * when the connection is lost all of it fails with CONNECTION_LOST. The deadline is counted in looks at the clock of this
 * process, so that a process that was stopped for a while does not blame the server.
 */
import type { FileEntryWithStats, SFTPWrapper, Stats } from "ssh2";
import { errnoOf, messageOf } from "../errno.ts";
import { SftpStatusError, statusOf } from "./sftp-status.ts";
import { type SshConnection, unanswered } from "./ssh-connection.ts";
import { TransportError } from "./transport-error.ts";

/** The deadline is divided into this many looks. */
const LOOKS = 4;
const LONGEST_LOOKS = 10 * LOOKS;

export const OPEN_READ = 0x01;
export const OPEN_WRITE = 0x02;
export const OPEN_CREATE = 0x08;
export const OPEN_EXCLUSIVE = 0x20;

export interface FileSystemSpace {
  /** Bytes that this user may still write. */
  readonly freeBytes: number;
  readonly readOnly: boolean;
}

type Callback<T> = (error: Error | null | undefined, value: T) => void;

interface Pending {
  readonly step: string;
  readonly reject: (error: unknown) => void;
  looks: number;
}

export class SftpSession {
  readonly #connection: SshConnection;
  readonly #sftp: SFTPWrapper;
  readonly #lookMs: number;
  readonly #pending = new Set<Pending>();
  #timer: NodeJS.Timeout | null = null;
  /** Looks since the last answer. */
  #silentLooks = 0;
  #failure: TransportError | null = null;

  constructor(connection: SshConnection, deadlineMs: number) {
    this.#connection = connection;
    this.#sftp = connection.sftp;
    this.#lookMs = deadlineMs / LOOKS;
  }

  /** Why nothing more can be asked; null as long as the connection is good. */
  get failure(): TransportError | null {
    return this.#failure;
  }

  /** The connection is gone: everything that waits for an answer fails. */
  fail(failure: TransportError): void {
    if (this.#failure !== null) return;
    this.#failure = failure;
    for (const { reject } of this.#pending) reject(failure);
    this.#pending.clear();
    this.#stopLooking();
  }

  async end(reason: TransportError): Promise<void> {
    this.fail(reason);
    await this.#connection.end();
  }

  async open(path: string, flags: number): Promise<Buffer> {
    return await this.#ask<Buffer>(`open ${path}`, (done) => this.#sftp.open(path, flags, done));
  }

  async close(handle: Buffer): Promise<void> {
    await this.#ask<void>("close", (done) => this.#sftp.close(handle, asVoid(done)));
  }

  async write(handle: Buffer, bytes: Buffer, position: number): Promise<void> {
    await this.#ask<void>("write", (done) => this.#sftp.write(handle, bytes, 0, bytes.length, position, asVoid(done)));
  }

  /** Fills `target` from `position`; fewer bytes only at the end of the file. */
  async read(handle: Buffer, target: Buffer, position: number): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const count = await this.#ask<number>("read", (done) =>
        this.#sftp.read(handle, target, filled, target.length - filled, position + filled, done),
      );
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  async fstat(handle: Buffer): Promise<Stats> {
    return await this.#ask<Stats>("stat", (done) => this.#sftp.fstat(handle, done));
  }

  async stat(path: string): Promise<Stats> {
    return await this.#ask<Stats>(`stat ${path}`, (done) => this.#sftp.stat(path, done));
  }

  /** Null when there is nothing of that name. */
  async lstatOrNull(path: string): Promise<Stats | null> {
    try {
      return await this.#ask<Stats>(`stat ${path}`, (done) => this.#sftp.lstat(path, done));
    } catch (error) {
      if (statusOf(error) === "missing") return null;
      throw error;
    }
  }

  async mkdir(path: string): Promise<void> {
    await this.#ask<void>(`make ${path}`, (done) => this.#sftp.mkdir(path, asVoid(done)));
  }

  async unlink(path: string): Promise<void> {
    await this.#ask<void>(`remove ${path}`, (done) => this.#sftp.unlink(path, asVoid(done)));
  }

  /** What SFTP itself calls rename: it must not replace, but some servers do. */
  async rename(from: string, to: string): Promise<void> {
    await this.#ask<void>(`rename ${from}`, (done) => this.#sftp.rename(from, to, asVoid(done)));
  }

  /** All entries of a directory, in the server's order, without `.` and `..`. */
  async readDirectory(path: string): Promise<FileEntryWithStats[]> {
    const handle = await this.#ask<Buffer>(`open ${path}`, (done) => this.#sftp.opendir(path, done));
    const entries: FileEntryWithStats[] = [];
    try {
      for (;;) {
        const batch = await this.#nextEntries(handle, path);
        if (batch === null) break;
        entries.push(...batch.filter(({ filename }) => filename !== "." && filename !== ".."));
      }
    } finally {
      await this.close(handle);
    }
    return entries;
  }

  async #nextEntries(handle: Buffer, path: string): Promise<FileEntryWithStats[] | null> {
    try {
      return await this.#ask<FileEntryWithStats[]>(`list ${path}`, (done) => this.#sftp.readdir(handle, done));
    } catch (error) {
      if (statusOf(error) === "end") return null;
      throw error;
    }
  }

  /** posix-rename@openssh.com: replaces what has the name, at once. */
  async posixRename(from: string, to: string): Promise<void> {
    await this.#ask<void>(`rename ${from}`, (done) => this.#sftp.ext_openssh_rename(from, to, asVoid(done)));
  }

  /** hardlink@openssh.com: never replaces. */
  async hardlink(from: string, to: string): Promise<void> {
    await this.#ask<void>(`link ${to}`, (done) => this.#sftp.ext_openssh_hardlink(from, to, asVoid(done)));
  }

  /** fsync@openssh.com; false where the server does not offer it. */
  async fsync(handle: Buffer): Promise<boolean> {
    try {
      await this.#ask<unknown>("fsync", (done) => this.#sftp.ext_openssh_fsync(handle, done));
      return true;
    } catch (error) {
      if (statusOf(error) === "unsupported") return false;
      throw error;
    }
  }

  /** statvfs@openssh.com; null where the server does not offer it. */
  async space(path: string): Promise<FileSystemSpace | null> {
    try {
      const fs = await this.#ask<Record<string, unknown>>(`statvfs ${path}`, (done) =>
        this.#sftp.ext_openssh_statvfs(path, done),
      );
      return { freeBytes: Number(fs.f_bavail) * Number(fs.f_frsize), readOnly: (Number(fs.f_flag) & 1) !== 0 };
    } catch (error) {
      if (error instanceof SftpStatusError) return null;
      throw error;
    }
  }

  #ask<T>(step: string, start: (done: Callback<T>) => void): Promise<T> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise<T>((resolve, reject) => {
      const pending: Pending = { step, reject, looks: 0 };
      this.#pending.add(pending);
      this.#timer ??= setInterval(() => this.#look(), this.#lookMs);
      const done: Callback<T> = (error, value) => {
        if (!this.#pending.delete(pending)) return;
        this.#silentLooks = 0;
        if (this.#pending.size === 0) this.#stopLooking();
        if (error === null || error === undefined) resolve(value);
        else reject(requestError(error, step));
      };
      try {
        start(done);
      } catch (error) {
        // What the library throws: the server has not offered this extension, or the channel is closed.
        done(error instanceof Error ? error : new Error(String(error)), undefined as T);
      }
    });
  }

  #look(): void {
    this.#silentLooks++;
    for (const pending of this.#pending) pending.looks++;
    const [oldest] = this.#pending;
    if (oldest === undefined) return;
    const waitedLooks = Math.min(this.#silentLooks, oldest.looks);
    if (waitedLooks < LOOKS && oldest.looks < LONGEST_LOOKS) return;
    this.fail(unanswered(oldest.step));
    this.#connection.destroy();
  }

  #stopLooking(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#silentLooks = 0;
  }
}

function asVoid(done: Callback<void>): (error?: Error | null) => void {
  return (error) => done(error, undefined);
}

function requestError(error: Error, step: string): Error {
  const code: unknown = "code" in error ? error.code : undefined;
  if (typeof code === "number") return new SftpStatusError(code, `${step}: ${error.message}`, error);
  if (/does not support/.test(error.message)) return new SftpStatusError(8, `${step}: ${error.message}`, error);
  const hint = "It is tried again.";
  const name = errnoOf(error) ?? messageOf(error);
  return new TransportError("CONNECTION_LOST", `${step}: the connection is gone: ${name}`, { hint, cause: error });
}
