/** Turns a server's status into TransportError. */
import type { FileSystemSpace } from "./sftp-session.ts";
import { type SftpStatus, SftpStatusError } from "./sftp-status.ts";
import { TransportError, type TransportErrorCode } from "./transport-error.ts";

interface Meaning {
  readonly code: TransportErrorCode;
  readonly hint: string;
}

const FULL: Meaning = {
  code: "TARGET_FULL",
  hint: "Free some space where the mailbox is; shipping goes on by itself.",
};
const QUOTA: Meaning = {
  code: "TARGET_QUOTA",
  hint: "Raise the quota of the mailbox's user, or its limit on file sizes: the file system itself has room. Shipping goes on by itself.",
};
const READONLY: Meaning = {
  code: "TARGET_READONLY",
  hint: "Mount the mailbox's file system for writing, and look for why it is not: disks that fail become read-only.",
};
const FAILED: Meaning = {
  code: "TARGET_FAILED",
  hint: "Look into the SSH server's log, and check the health of the mailbox's file system.",
};
const LOST: Meaning = { code: "CONNECTION_LOST", hint: "Check the server; it is tried again." };

const MEANINGS: Readonly<Record<SftpStatus, Meaning>> = {
  denied: {
    code: "TARGET_DENIED",
    hint: "Give the user in the `mailbox` URL permission to write in the mailbox: its directory belongs to somebody else.",
  },
  missing: {
    code: "TARGET_MISSING",
    hint: "Mount the file system of the mailbox, or make its directory: it is never made silently.",
  },
  bad: { code: "NAME_INVALID", hint: "Use a mailbox on a file system that takes names of 255 bytes." },
  full: FULL,
  quota: QUOTA,
  readonly: READONLY,
  connection: LOST,
  failure: FAILED,
  exists: FAILED,
  unsupported: FAILED,
  end: FAILED,
};

/** What a server's status means; what is none is returned as it is. */
export function sftpError(error: unknown, step: string, path: string): unknown {
  return error instanceof SftpStatusError ? meaning(MEANINGS[error.status], error, step, path) : error;
}

/**
 * What it means that a server refused to write: most answer a plain failure when the disk is full, when a quota is
 * used up and when the file system is read-only, so that its space tells them apart.
 * @param neededBytes how much was still to be written.
 */
export function writeError(error: unknown, space: FileSystemSpace | null, neededBytes: number, path: string): unknown {
  if (!(error instanceof SftpStatusError)) return error;
  return meaning(writeMeaning(error, space, neededBytes), error, `write ${neededBytes} bytes`, path);
}

function writeMeaning(error: SftpStatusError, space: FileSystemSpace | null, neededBytes: number): Meaning {
  if (error.status !== "failure" || space === null) return MEANINGS[error.status];
  if (space.readOnly) return READONLY;
  return space.freeBytes < neededBytes ? FULL : QUOTA;
}

function meaning({ code, hint }: Meaning, error: SftpStatusError, step: string, path: string): TransportError {
  return new TransportError(code, `${step}: ${error.message}`, { path, hint, cause: error });
}
