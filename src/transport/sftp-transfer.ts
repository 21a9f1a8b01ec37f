/**
 * The contents of files, there and back, with several requests on their way at once.
 *
 * Requests are answered in any order but waited for in the order of the file, so that never more than a window lies between
 * the first byte without an answer and the last byte that was sent: what is further back than a window from the end of
 * a half-written file was acknowledged.
 */
import type { FileHandle } from "node:fs/promises";
import { readFully } from "../file-contents.ts";
import type { Bandwidth } from "./sftp-bandwidth.ts";
import type { SftpSession } from "./sftp-session.ts";
import { TransportError } from "./transport-error.ts";

/** What OpenSSH takes in one write request: 256 KiB with the request around it. */
const CHUNK_BYTES = 255 * 1024;
const REQUESTS = 64;

/** No more than this is on its way at once. */
export const WINDOW_BYTES = CHUNK_BYTES * REQUESTS;

interface UploadOptions {
  readonly from: number;
  readonly size: number;
  readonly bandwidth: Bandwidth;
  readonly signal: AbortSignal | undefined;
}

/**
 * Sends a local file's bytes from `from` to `size`; all of them are acknowledged when it returns.
 * @param whenSent called when all are sent and some are not acknowledged yet: a request for the same file that goes now is
 * answered after them, and saves a round trip.
 */
export async function upload(
  session: SftpSession,
  handle: Buffer,
  local: FileHandle,
  { from, size, bandwidth, signal }: UploadOptions,
  whenSent: () => void,
): Promise<void> {
  // What was acknowledged is sent no more: its memory is used again, or the collector would be busy with nothing else.
  const free: Buffer[] = [];
  const send = async (position: number, length: number) => {
    signal?.throwIfAborted();
    const buffer = free.pop() ?? Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, size));
    const chunk = buffer.subarray(0, length);
    if ((await readFully(local, chunk, position)) < length) throw shrunk();
    await bandwidth.take(length, signal);
    return { position, answer: session.write(handle, chunk, position), done: async () => void free.push(buffer) };
  };
  await inWindow(from, size, send, whenSent);
}

/**
 * Fetches the first `size` bytes, chunk by chunk in the order of the file.
 * @throws TransportError TARGET_FAILED when there are fewer.
 */
export async function download(
  session: SftpSession,
  handle: Buffer,
  { size, signal }: { size: number; signal: AbortSignal | undefined },
  consume: (chunk: Buffer, position: number) => Promise<void>,
): Promise<void> {
  await inWindow(0, size, async (position, length) => {
    signal?.throwIfAborted();
    const chunk = Buffer.allocUnsafe(length);
    const answer = session.read(handle, chunk, position).then((count) => {
      if (count < length) throw new TransportError("TARGET_FAILED", "the file in the mailbox became shorter");
    });
    return { position, answer, done: () => consume(chunk, position) };
  });
}

interface Request {
  readonly position: number;
  readonly answer: Promise<void>;
  /** What follows the answer. */
  readonly done?: () => Promise<void>;
}

async function inWindow(
  from: number,
  size: number,
  begin: (position: number, length: number) => Promise<Request>,
  whenBegun = () => {},
): Promise<void> {
  const window: Request[] = [];
  for (let position = from; position < size; position += CHUNK_BYTES) {
    if (window.length === REQUESTS) await finishOldest(window);
    const request = await begin(position, Math.min(CHUNK_BYTES, size - position));
    // Waited for in its turn; until then a failure must not count as unhandled.
    request.answer.catch(() => undefined);
    window.push(request);
  }
  whenBegun();
  while (window.length > 0) await finishOldest(window);
}

async function finishOldest(window: Request[]): Promise<void> {
  const oldest = window.shift();
  await oldest?.answer;
  await oldest?.done?.();
}

function shrunk(): TransportError {
  return new TransportError("LOCAL_FAILED", "the local file became shorter while it was sent", {
    hint: "Something else changes the journal: only Afterimage may.",
  });
}
