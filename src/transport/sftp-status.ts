/** SFTP's status codes: those of version 3, and the later ones that some servers send all the same. */

/** The kinds that this side tells apart; servers answer `failure` to most of what goes wrong. */
export type SftpStatus =
  | "end"
  | "missing"
  | "denied"
  | "failure"
  | "bad"
  | "unsupported"
  | "exists"
  | "readonly"
  | "full"
  | "quota"
  | "connection";

const STATUSES: Readonly<Record<number, SftpStatus>> = {
  1: "end",
  2: "missing",
  3: "denied",
  4: "failure",
  5: "bad",
  6: "connection",
  7: "connection",
  8: "unsupported",
  10: "missing",
  11: "exists",
  12: "readonly",
  14: "full",
  15: "quota",
  20: "bad",
};

/** What a server answered to a request instead of doing it. It never leaves the transport: see sftp-error.ts. */
export class SftpStatusError extends Error {
  override readonly name = "SftpStatusError";
  readonly status: SftpStatus;

  constructor(code: number, message: string, cause?: Error) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = STATUSES[code] ?? "failure";
  }
}

/** Null for an error of another kind. */
export function statusOf(error: unknown): SftpStatus | null {
  return error instanceof SftpStatusError ? error.status : null;
}
