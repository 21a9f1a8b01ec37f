/**
 * One SFTP channel of a client: its requests are done one after another, in their order, and the next is only read when the
 * answer to the last has room to go. So a client can hold no more than one packet and its handles.
 */
import type { Dir } from "node:fs";
import { type FileHandle, opendir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, messageOf } from "../errno.ts";
import { lstatOrNull } from "../lstat-or-null.ts";
import { type MailboxFiles, Refusal } from "./mailbox-files.ts";
import { MAX_DATA_BYTES, type SftpRequest, type StatusName } from "./sftp-packet.ts";
import {
  attributesReply,
  dataReply,
  handleReply,
  limitsReply,
  type NamedEntry,
  namesReply,
  spaceReply,
  statusReply,
  versionReply,
} from "./sftp-reply.ts";

export interface ServiceLimits {
  /** Open files and listings of one channel. */
  readonly handles: number;
  readonly fileBytes: number;
}

interface Listing {
  readonly kind: "listing";
  readonly path: string;
  readonly directory: Dir;
  readonly shows: (entry: string) => boolean;
}

interface OpenFile {
  readonly kind: "file";
  readonly handle: FileHandle;
  /** Bytes that may still be written before the free space is looked at again. */
  allowance: number;
}

/** Entries in one answer; below the size of a packet with the longest names. */
const ENTRIES = 64;
const SPACE_CHECK_BYTES = 16 * 1024 * 1024;

const STATUS_BY_ERRNO: Readonly<Record<string, StatusName>> = {
  ENOENT: "missing",
  ENOTDIR: "missing",
  ELOOP: "missing",
  EACCES: "denied",
  EPERM: "denied",
  EEXIST: "exists",
  EROFS: "readonly",
  ENOSPC: "full",
  EDQUOT: "quota",
  EFBIG: "quota",
  ENAMETOOLONG: "bad",
  EINVAL: "bad",
};

export class SftpService {
  readonly #files: MailboxFiles;
  readonly #limits: ServiceLimits;
  readonly #open = new Map<string, OpenFile | Listing>();
  #nextHandle = 0;

  constructor(files: MailboxFiles, limits: ServiceLimits) {
    this.#files = files;
    this.#limits = limits;
  }

  /** Does a request, and gives the packet that answers it. */
  async answer(request: SftpRequest): Promise<Buffer> {
    if (request.kind === "init") return versionReply();
    try {
      return await this.#do(request);
    } catch (error) {
      const status = error instanceof Refusal ? error.status : (STATUS_BY_ERRNO[errnoOf(error) ?? ""] ?? "failure");
      // The system's own text names paths of this machine.
      return statusReply(request.id, status, error instanceof Refusal ? messageOf(error) : (errnoOf(error) ?? status));
    }
  }

  /** Closes what the client left open. */
  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(open.map(closeOne));
  }

  async #do(request: Exclude<SftpRequest, { kind: "init" }>): Promise<Buffer> {
    const { id } = request;
    switch (request.kind) {
      case "open": {
        this.#requireRoom();
        const handle = await this.#files.open(request.path, request.flags);
        return handleReply(id, this.#add({ kind: "file", handle, allowance: 0 }));
      }
      case "list":
        this.#requireRoom();
        return handleReply(id, this.#add(await this.#listing(request.path)));
      case "next":
        return await this.#nextEntries(id, request.handle);
      case "close":
        await this.#closeHandle(request.handle);
        return statusReply(id, "ok");
      case "read":
        return await this.#read(id, request);
      case "write":
        await this.#write(request);
        return statusReply(id, "ok");
      case "fsync":
        await this.#file(request.handle).handle.sync();
        return statusReply(id, "ok");
      case "fstat":
        return attributesReply(id, await this.#file(request.handle).handle.stat());
      case "lstat":
      case "stat":
        return attributesReply(id, await this.#files.lstat(request.path));
      case "realpath":
        return namesReply(id, [{ name: this.#files.resolve(request.path), stats: null }]);
      case "statvfs":
        return spaceReply(id, await this.#files.space(request.path));
      case "limits":
        return limitsReply(id, this.#limits.handles);
      case "unsupported":
        return statusReply(id, "unsupported");
      default:
        await this.#change(request);
        return statusReply(id, "ok");
    }
  }

  async #change(
    request: Extract<SftpRequest, { kind: "remove" | "mkdir" | "rename" | "replace" | "link" }>,
  ): Promise<void> {
    switch (request.kind) {
      case "remove":
        return await this.#files.remove(request.path);
      case "mkdir":
        return await this.#files.makeDirectory(request.path);
      case "rename":
        return await this.#files.rename(request.from, request.to);
      case "replace":
        return await this.#files.replace(request.from, request.to);
      case "link":
        return await this.#files.link(request.from, request.to);
    }
  }

  async #read(id: number, request: Extract<SftpRequest, { kind: "read" }>): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(Math.min(request.length, MAX_DATA_BYTES));
    const { bytesRead } = await this.#file(request.handle).handle.read(bytes, 0, bytes.length, request.position);
    return bytesRead === 0 ? statusReply(id, "end") : dataReply(id, bytes.subarray(0, bytesRead));
  }

  async #write(request: Extract<SftpRequest, { kind: "write" }>): Promise<void> {
    const file = this.#file(request.handle);
    const { bytes, position } = request;
    if (position + bytes.length > this.#limits.fileBytes) throw new Refusal("quota", "the file is too large");
    if (file.allowance < bytes.length) {
      await this.#files.requireSpace(bytes.length);
      file.allowance = SPACE_CHECK_BYTES;
    }
    file.allowance -= bytes.length;
    for (let done = 0; done < bytes.length; ) {
      done += (await file.handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
    }
  }

  async #listing(path: string): Promise<Listing> {
    const { path: location, shows } = await this.#files.listing(path);
    return { kind: "listing", path: location, directory: await opendir(location), shows };
  }

  async #nextEntries(id: number, handle: string): Promise<Buffer> {
    const listing = this.#open.get(handle);
    if (listing?.kind !== "listing") throw new Refusal("bad", "no such handle");
    const entries: NamedEntry[] = [];
    while (entries.length < ENTRIES) {
      const entry = await listing.directory.read();
      if (entry === null) break;
      const stats = listing.shows(entry.name) ? await lstatOrNull(join(listing.path, entry.name)) : null;
      if (stats?.isFile() || stats?.isDirectory()) entries.push({ name: entry.name, stats });
    }
    return entries.length === 0 ? statusReply(id, "end") : namesReply(id, entries);
  }

  async #closeHandle(handle: string): Promise<void> {
    const open = this.#open.get(handle);
    if (open === undefined) throw new Refusal("bad", "no such handle");
    this.#open.delete(handle);
    await closeOne(open);
  }

  #requireRoom(): void {
    if (this.#open.size >= this.#limits.handles) throw new Refusal("failure", "too many open handles");
  }

  #add(open: OpenFile | Listing): string {
    const handle = String(this.#nextHandle++);
    this.#open.set(handle, open);
    return handle;
  }

  #file(handle: string): OpenFile {
    const open = this.#open.get(handle);
    if (open?.kind !== "file") throw new Refusal("bad", "no such handle");
    return open;
  }
}

async function closeOne(open: OpenFile | Listing): Promise<void> {
  await (open.kind === "file" ? open.handle.close() : open.directory.close());
}
