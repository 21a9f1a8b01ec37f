/**
 * The files of a mailbox for other members: every operation is confined to the mailbox's directory.
 *
 * Guarantee: no name leads out of it. Names have no `..`; the directory above a name is resolved and must lie inside; the
 * name itself is never followed when it is a symbolic link, and only regular files and directories are opened. A name
 * that was taken is synced together with its directory before the client hears of it, which SFTP alone cannot ask for.
 */
import { constants, type Stats } from "node:fs";
import { access, type FileHandle, link, lstat, mkdir, open, realpath, rename, rm, statfs } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { fsyncDirectoryAsync } from "../durable-files.ts";
import { errnoOf } from "../errno.ts";
import {
  INBOX,
  type MailboxName,
  mayMakeDirectory,
  mayName,
  mayRead,
  mayRemove,
  mayWrite,
  nameOfPath,
} from "./mailbox-access.ts";
import {
  FLAG_APPEND,
  FLAG_CREATE,
  FLAG_EXCLUSIVE,
  FLAG_READ,
  FLAG_TRUNCATE,
  FLAG_WRITE,
  type StatusName,
} from "./sftp-packet.ts";
import type { Space } from "./sftp-reply.ts";

/** A request that is refused; `status` is what the client is told. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: StatusName;

  constructor(status: StatusName, message: string) {
    super(message);
    this.status = status;
  }
}

export interface MailboxFilesOptions {
  /** The mailbox's directory. */
  readonly directory: string;
  /** The path under which clients see it. */
  readonly mountedAt: string;
  /** This much of the file system is left free. */
  readonly reservedBytes: number;
}

export class MailboxFiles {
  readonly #directory: string;
  readonly #mountedAt: string;
  readonly #reservedBytes: number;

  constructor({ directory, mountedAt, reservedBytes }: MailboxFilesOptions) {
    this.#directory = directory;
    this.#mountedAt = mountedAt;
    this.#reservedBytes = reservedBytes;
  }

  /** The path as clients see it, without `.` and `..`. */
  resolve(path: string): string {
    return [this.#mountedAt === "/" ? "" : this.#mountedAt, ...this.#readable(path)].join("/") || "/";
  }

  async lstat(path: string): Promise<Stats> {
    return await lstat(await this.#locate(this.#readable(path)));
  }

  /** Opens a file for reading, or a temporary one for writing. */
  async open(path: string, flags: number): Promise<FileHandle> {
    const writing = (flags & FLAG_WRITE) !== 0;
    const name = this.#readable(path);
    if (writing && !mayWrite(name)) throw new Refusal("denied", "files are written below inbox, as .NAME.part");
    if (!writing && (flags & FLAG_READ) === 0) throw new Refusal("bad", "neither read nor written");
    if ((flags & FLAG_APPEND) !== 0) throw new Refusal("unsupported", "no appending");
    if (writing) await this.requireSpace(0);
    const mode = constants.O_NOFOLLOW | constants.O_NONBLOCK | (writing ? writeFlags(flags) : constants.O_RDONLY);
    const handle = await open(await this.#locate(name), mode, 0o644);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    throw new Refusal("failure", "not a file");
  }

  /** The directory's path in this machine's file system, and which of its entries a client sees. */
  async listing(path: string): Promise<{ path: string; shows: (entry: string) => boolean }> {
    const name = this.#readable(path);
    return { path: await this.#locate(name), shows: (entry) => mayRead([...name, entry]) };
  }

  async remove(path: string): Promise<void> {
    const name = this.#allowed(path, mayRemove);
    const target = await this.#locate(name);
    if (!(await lstat(target)).isFile()) throw new Refusal("failure", "not a file");
    await rm(target);
  }

  async makeDirectory(path: string): Promise<void> {
    const target = await this.#locate(this.#allowed(path, mayMakeDirectory));
    await mkdir(target, 0o755);
    await fsyncDirectoryAsync(dirname(target));
  }

  /** Gives a complete file a second name, which must be free. */
  async link(from: string, to: string): Promise<void> {
    const target = await this.#target(to);
    await link(await this.#source(from), target);
    await fsyncDirectoryAsync(dirname(target));
  }

  /** Gives a complete file its name, which must be free. */
  async rename(from: string, to: string): Promise<void> {
    await this.link(from, to);
    await rm(await this.#source(from));
  }

  /** Gives a complete file its name, whatever had it. */
  async replace(from: string, to: string): Promise<void> {
    const target = await this.#target(to);
    await rename(await this.#source(from), target);
    await fsyncDirectoryAsync(dirname(target));
  }

  async space(path: string): Promise<Space> {
    const location = await this.#locate(this.#readable(path));
    const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(location);
    return {
      blockBytes: bsize,
      blocks,
      freeBlocks: bfree,
      availableBlocks: Math.max(0, bavail - Math.ceil(this.#reservedBytes / bsize)),
      files,
      freeFiles: ffree,
      readOnly: await isReadOnly(location),
    };
  }

  /** @throws Refusal `full` when `bytes` more would use what is to be left free. */
  async requireSpace(bytes: number): Promise<void> {
    const { bsize, bavail } = await statfs(this.#directory);
    if (bavail * bsize - bytes < this.#reservedBytes) throw new Refusal("full", "the mailbox's file system is full");
  }

  /** @throws Refusal `missing`. */
  #readable(path: string): MailboxName {
    const name = nameOfPath(path, this.#mountedAt);
    if (name === null || !mayRead(name)) throw new Refusal("missing", "no such file");
    return name;
  }

  #allowed(path: string, may: (name: MailboxName) => boolean): MailboxName {
    const name = this.#readable(path);
    if (!may(name)) throw new Refusal("denied", `only below ${INBOX}`);
    return name;
  }

  async #source(path: string): Promise<string> {
    return await this.#locate(this.#allowed(path, mayWrite));
  }

  async #target(path: string): Promise<string> {
    return await this.#locate(this.#allowed(path, mayName));
  }

  /** Where a name lies; what is above it is inside the mailbox, whatever links there are. */
  async #locate(name: MailboxName): Promise<string> {
    const root = await realpath(this.#directory);
    const last = name.at(-1);
    if (last === undefined) return root;
    const parent = await realpath(join(root, ...name.slice(0, -1)));
    if (parent !== root && !parent.startsWith(root + sep)) throw new Refusal("denied", "a link out of the mailbox");
    return join(parent, last);
  }
}

function writeFlags(flags: number): number {
  return (
    ((flags & FLAG_READ) !== 0 ? constants.O_RDWR : constants.O_WRONLY) |
    ((flags & FLAG_CREATE) !== 0 ? constants.O_CREAT : 0) |
    ((flags & FLAG_TRUNCATE) !== 0 ? constants.O_TRUNC : 0) |
    ((flags & FLAG_EXCLUSIVE) !== 0 ? constants.O_EXCL : 0)
  );
}

async function isReadOnly(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return false;
  } catch (error) {
    return errnoOf(error) === "EROFS";
  }
}
