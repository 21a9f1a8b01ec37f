/** How a file comes under its name in a mailbox behind SFTP; see sftp-transport.ts for what is guaranteed. */
import type { FileHandle } from "node:fs/promises";
import { posix } from "node:path";
import { uniquePartPath } from "../durable-files.ts";
import { readFully } from "../file-contents.ts";
import type { Bandwidth } from "./sftp-bandwidth.ts";
import { writeError } from "./sftp-error.ts";
import { type Part, partOf, resumePoint } from "./sftp-part.ts";
import { OPEN_CREATE, OPEN_EXCLUSIVE, OPEN_READ, OPEN_WRITE, type SftpSession } from "./sftp-session.ts";
import { type SftpStatus, statusOf } from "./sftp-status.ts";
import { download, upload } from "./sftp-transfer.ts";
import { isConnectionError } from "./ssh-connection.ts";
import { TransportError } from "./transport-error.ts";

/** From this size on it is worth asking first whether the file is there already, and whether it will fit. */
const LARGE_BYTES = 1024 * 1024;
/** A follower takes files out of its inbox at any time: also between the look that finds a name taken and the comparison. */
const NAME_ATTEMPTS = 5;

/** A place in a mailbox. */
export interface Place {
  readonly session: SftpSession;
  /** The mailbox. */
  readonly root: string;
  /** From there to the file. */
  readonly parts: readonly [string, ...string[]];
}

export interface PutOptions {
  readonly bandwidth: Bandwidth;
  readonly signal: AbortSignal | undefined;
  /** Called when the file is complete under its temporary name. */
  readonly onWritten?: (part: string) => Promise<void>;
}

export function pathOf({ root, parts }: Place): string {
  return posix.join(root, ...parts);
}

export async function putFile(place: Place, local: FileHandle, options: PutOptions): Promise<"stored" | "present"> {
  const { session } = place;
  const path = pathOf(place);
  const { size } = await local.stat();
  if (size >= LARGE_BYTES && (await holdsSame(session, path, local, options.signal)) !== null) return "present";
  const part = await partOf(path, local, size);
  let keepPart = false;
  try {
    await writePart(place, part, size, async (handle, whenSent) => {
      const from = part.resumable ? await resumePoint(session, handle, local) : 0;
      if (size - from >= LARGE_BYTES) await requireSpace(place, size - from);
      await upload(session, handle, local, { from, size, ...options }, whenSent);
    });
    await options.onWritten?.(part.path);
    return await takeNameOrConfirm(session, part.path, path, local, options.signal);
  } catch (error) {
    keepPart = part.resumable && (isConnectionError(error) || options.signal?.aborted === true);
    throw error;
  } finally {
    // Nobody waits for it: on a distant server it would cost as much as a small file's contents.
    if (!keepPart) session.unlink(part.path).catch(() => undefined);
  }
}

export async function publishBytes(
  place: Place,
  bytes: Uint8Array,
  onWritten: PutOptions["onWritten"] = async () => {},
): Promise<void> {
  const { session } = place;
  const path = pathOf(place);
  const part = uniquePartPath(path);
  try {
    await writePart(place, { path: part, resumable: false }, bytes.length, async (handle, whenSent) => {
      const written = session.write(handle, Buffer.from(bytes), 0);
      whenSent();
      await written;
    });
    await onWritten(part);
    await replace(session, part, path);
  } catch (error) {
    session.unlink(part).catch(() => undefined);
    throw error;
  }
}

/**
 * Writes a temporary file and makes its contents durable, where the server can: requests for one file are done in their
 * order, so that it is asked to sync before it has said that all is written.
 */
async function writePart(
  place: Place,
  part: Part,
  size: number,
  write: (handle: Buffer, whenSent: () => void) => Promise<void>,
): Promise<void> {
  const { session } = place;
  const handle = await openPart(place, part, size);
  try {
    let synced = Promise.resolve(false);
    await write(handle, () => {
      synced = session.fsync(handle);
      // It is awaited after what was written.
      synced.catch(() => undefined);
    });
    // A server that cannot sync may still report in its answer to `close` that the disk is full.
    if (!(await synced)) return await session.close(handle);
  } catch (error) {
    session.close(handle).catch(() => undefined);
    throw statusOf(error) === null ? error : await refusedWrite(place, error, size);
  }
  session.close(handle).catch(() => undefined);
}

async function openPart(place: Place, part: Part, size: number): Promise<Buffer> {
  const flags = OPEN_WRITE | OPEN_CREATE | (part.resumable ? OPEN_READ : OPEN_EXCLUSIVE);
  try {
    return await place.session.open(part.path, flags);
  } catch (error) {
    if (statusOf(error) === "failure") throw await refusedWrite(place, error, size);
    if (statusOf(error) !== "missing") throw error;
  }
  await makeDirectories(place);
  return await place.session.open(part.path, flags);
}

async function makeDirectories(place: Place): Promise<void> {
  const { session, root, parts } = place;
  await requireMailbox(session, root);
  let path = root;
  for (const name of parts.slice(0, -1)) {
    path = posix.join(path, name);
    try {
      await session.mkdir(path);
    } catch (error) {
      const there = statusOf(error) === null ? null : await session.lstatOrNull(path);
      if (there !== null) continue;
      throw statusOf(error) === "failure" ? await refusedWrite(place, error, 0) : error;
    }
  }
}

/** @throws TransportError TARGET_MISSING when the mailbox itself is not there. */
export async function requireMailbox(session: SftpSession, root: string): Promise<void> {
  try {
    if ((await session.stat(root)).isDirectory()) return;
  } catch (error) {
    if (statusOf(error) !== "missing") throw error;
  }
  throw new TransportError("TARGET_MISSING", "the server has no directory of the mailbox's path", {
    path: root,
    hint: "Mount the file system of the mailbox, or make its directory, and check the path in the `mailbox` URL: with a chroot it begins there.",
  });
}

async function requireSpace({ session, root }: Place, bytes: number): Promise<void> {
  const space = await session.space(root);
  if (space === null || space.freeBytes >= bytes) return;
  throw new TransportError("TARGET_FULL", `${bytes} bytes are to be written, and ${space.freeBytes} are free`, {
    path: root,
    hint: "Free some space where the mailbox is; shipping goes on by itself.",
  });
}

async function refusedWrite({ session, root }: Place, error: unknown, neededBytes: number): Promise<unknown> {
  const space = await session.space(root).catch(() => null);
  return writeError(error, space, Math.max(neededBytes, 1), root);
}

async function takeNameOrConfirm(
  session: SftpSession,
  part: string,
  path: string,
  local: FileHandle,
  signal: AbortSignal | undefined,
): Promise<"stored" | "present"> {
  for (let attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
    signal?.throwIfAborted();
    if (await takeName(session, part, path)) return "stored";
    if ((await holdsSame(session, path, local, signal)) !== null) return "present";
  }
  throw new TransportError("TARGET_FAILED", "the name is taken and free in turns", {
    path,
    hint: "Something else writes and removes files in the mailbox; it is tried again.",
  });
}

/** Another try after these may do what hardlink@openssh.com could not. */
const LINK_UNSUPPORTED: ReadonlySet<SftpStatus | null> = new Set<SftpStatus>(["unsupported", "failure", "denied"]);

/** Gives a complete file its name; false when the name is taken. */
async function takeName(session: SftpSession, part: string, path: string): Promise<boolean> {
  try {
    await session.hardlink(part, path);
    return true;
  } catch (error) {
    const status = statusOf(error);
    if (status === null) throw error;
    if (status === "exists" || (await session.lstatOrNull(path)) !== null) return false;
    if (!LINK_UNSUPPORTED.has(status)) throw error;
  }
  try {
    await session.rename(part, path);
    return true;
  } catch (error) {
    if (statusOf(error) !== null && (await session.lstatOrNull(path)) !== null) return false;
    throw error;
  }
}

/** Sets a name, whatever had it. */
async function replace(session: SftpSession, part: string, path: string): Promise<void> {
  try {
    return await session.posixRename(part, path);
  } catch (error) {
    if (statusOf(error) !== "unsupported") throw error;
  }
  // Without the extension a name cannot be replaced at once: for a moment readers find nothing under it.
  try {
    return await session.rename(part, path);
  } catch (error) {
    if (statusOf(error) === null) throw error;
  }
  await session.unlink(path);
  await session.rename(part, path);
}

/**
 * True when a name holds the local file's bytes, which are then synced: an earlier put may have been cut before that. Null when the name is free.
 * @throws TransportError TARGET_DIFFERS.
 */
async function holdsSame(
  session: SftpSession,
  path: string,
  local: FileHandle,
  signal: AbortSignal | undefined,
): Promise<true | null> {
  const found = await session.lstatOrNull(path);
  if (found === null) return null;
  const { size } = await local.stat();
  if (!found.isFile() || found.size !== size) throw differs(path);
  try {
    const handle = await session.open(path, OPEN_READ);
    try {
      await download(session, handle, { size, signal }, async (chunk, position) => {
        const mine = Buffer.allocUnsafe(chunk.length);
        if ((await readFully(local, mine, position)) < mine.length || !mine.equals(chunk)) throw differs(path);
      });
      await session.fsync(handle);
    } finally {
      session.close(handle).catch(() => undefined);
    }
    return true;
  } catch (error) {
    if (statusOf(error) === "missing") return null;
    throw error;
  }
}

function differs(path: string): TransportError {
  return new TransportError("TARGET_DIFFERS", "another file of this name is in the mailbox", {
    path,
    hint: "Two members may have written this mailbox: run `afterimage whois-operational`.",
  });
}
