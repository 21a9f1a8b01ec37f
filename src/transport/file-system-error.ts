/** Turns errors of the file system into TransportError. */
import { errnoOf, messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import { TransportError, type TransportErrorCode } from "./transport-error.ts";

interface Meaning {
  readonly code: TransportErrorCode;
  readonly hint: string;
}

const FULL: Meaning = {
  code: "TARGET_FULL",
  hint: "Free some space, or raise the quota, where the mailbox is; shipping goes on by itself.",
};
const READONLY: Meaning = {
  code: "TARGET_READONLY",
  hint: "Mount the mailbox's file system for writing, and look for why it is not: disks that fail become read-only.",
};
const DENIED: Meaning = {
  code: "TARGET_DENIED",
  hint: "Give the user that Afterimage runs as permission to write in the mailbox.",
};
const MISSING: Meaning = {
  code: "TARGET_MISSING",
  hint: "Mount the file system of the mailbox, or make its directory: it is never made silently.",
};
const UNREACHABLE: Meaning = {
  code: "UNREACHABLE",
  hint: "Check the network and the server of the mailbox's file system; it is tried again.",
};
const NAME: Meaning = { code: "NAME_INVALID", hint: "Use a mailbox on a file system that takes names of 255 bytes." };
const LARGE: Meaning = {
  code: "FILE_TOO_LARGE",
  hint: "The mailbox's file system cannot hold files of this size: lower `maxSegmentBytes`, or use another.",
};
const FAILED: Meaning = { code: "TARGET_FAILED", hint: "Check the health of the mailbox's file system." };

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EROFS: READONLY,
  EACCES: DENIED,
  EPERM: DENIED,
  ENOENT: MISSING,
  ENOTCONN: UNREACHABLE,
  ESTALE: UNREACHABLE,
  ETIMEDOUT: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENAMETOOLONG: NAME,
  EFBIG: LARGE,
};

/** What is not an error of a system call, such as an abort's reason, is returned as it is. */
export function targetError(error: unknown, step: string, path: string): unknown {
  const errno = errnoOf(error);
  if (error instanceof AfterimageError || errno === null) return error;
  const { code, hint } = MEANINGS[errno] ?? FAILED;
  return new TransportError(code, `${step}: ${messageOf(error)}`, { path, hint, cause: error });
}

/** An error with the local file of a transfer. */
export function localError(error: unknown, step: string, path: string): unknown {
  if (error instanceof AfterimageError || errnoOf(error) === null) return error;
  return new TransportError("LOCAL_FAILED", `cannot ${step} the local file: ${messageOf(error)}`, {
    path,
    cause: error,
    hint: "Check the member's `state` directory: its permissions, and the free space of its file system.",
  });
}
