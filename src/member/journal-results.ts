/** What cutting the journal, and waiting for mirrors to have it, are asked and answer. Also for applications: see src/index.ts. */

export interface RotationResult {
  readonly database: string;
  /** Segments cut by this call, oldest first: file names such as `0000000000000002-0000000000000005.ltx`. */
  readonly segments: readonly string[];
  /** The end of the journal afterwards, `epoch:txid:checksum`. */
  readonly position: string;
}

export interface SyncOptions {
  /** Members to wait for; all that are behind this one when not given. */
  readonly members?: readonly string[];
  /** 5 seconds when not given. */
  readonly timeoutMs?: number;
}

/** What a member had integrated of one database when the wait ended. */
export interface SyncedMember {
  readonly member: string;
  readonly database: string;
  /** 16 hexadecimal digits; null when nothing is known of it. */
  readonly integrated: string | null;
}
