import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type MemberErrorCode =
  | "DATABASE_UNKNOWN"
  /** The directory of a pattern of databases. */
  | "DATABASES_UNREADABLE"
  /** Nobody can be asked to reload: no daemon serves this member. */
  | "NOT_RUNNING"
  | "RELOAD_NEEDS_RESTART"
  | "NOT_OPERATIONAL"
  | "NOT_A_MIRROR"
  | "UNFENCE_REFUSED"
  /** The operational member lives. */
  | "PROMOTION_ALIVE"
  /** Another mirror has received more. */
  | "PROMOTION_BEHIND"
  /** Another member of this name lives. */
  | "MEMBER_CLONED"
  /** Others hold more of this member's reign than its state does. */
  | "STATE_SET_BACK"
  /** Not everything that was received is integrated. */
  | "PROMOTION_INCOMPLETE"
  /** A reporting member. */
  | "PROMOTION_TYPE"
  | "PROMOTION_UNSERVED"
  /** The role is given up, and not everything is fenced and cut yet. */
  | "DEMOTION_UNFINISHED"
  /** The hook beforePromote does not consent. */
  | "PROMOTION_VETOED"
  /** What a member was offered cannot be taken by it. */
  | "OFFER_REFUSED"
  /** Another hand-over is under way. */
  | "SWITCHOVER_RUNNING"
  /** Nobody to hand over to. */
  | "SWITCHOVER_TARGET"
  /** A reporting member. */
  | "SWITCHOVER_TYPE"
  /** The other member's daemon does not run, or cannot be reached. */
  | "SWITCHOVER_DOWN"
  /** The other member does not follow in this epoch. */
  | "SWITCHOVER_EPOCH"
  /** The other member has no copy of a database. */
  | "SWITCHOVER_DATABASES"
  /** Something is wrong with a database, or with the other member. */
  | "SWITCHOVER_ERROR"
  /** Integration is held back there. */
  | "SWITCHOVER_HELD"
  /** A database is fenced by hand. */
  | "SWITCHOVER_FENCED"
  /** Nothing can be put into the other member's mailbox. */
  | "SWITCHOVER_MAILBOX"
  /** The other member did not get level in time. */
  | "SWITCHOVER_BEHIND"
  | "SWITCHOVER_TIMEOUT"
  | "SWITCHOVER_CANCELLED"
  /** The other member does not take the offer. */
  | "SWITCHOVER_REFUSED"
  /** Nobody knows yet whether the offer was taken. */
  | "SWITCHOVER_UNSETTLED"
  /** There is nothing to cancel. */
  | "SWITCHOVER_NONE"
  /** A transaction, or time, that is integrated already. */
  | "UNTIL_PASSED"
  /** A transaction ID for several databases. */
  | "UNTIL_OF_MANY"
  | "PAGE_SIZE_CHANGED"
  /** What is here is in no later epoch. */
  | "DIVERGED"
  /** What only this member has could not be kept. */
  | "REJOIN_UNKEPT"
  /** A database could not be fenced. */
  | "REJOIN_UNFENCED"
  /** What differs could not be found out yet. */
  | "REJOIN_UNREPORTED"
  /** The member of the later epoch cannot be asked. */
  | "REJOIN_UNREACHABLE"
  | "FOLLOWER_UNKNOWN"
  | "SYNC_TIMEOUT"
  /** The daemon was stopped while something waited to be shipped. */
  | "SHIPPING_STOPPED"
  | "NO_SNAPSHOT"
  /** The journal has reached `journal.maxBytes`, and nothing in it may go. */
  | "SPOOL_FULL"
  /** Less is free than `journal.minFree`. */
  | "DISK_LOW"
  /** What was read for a snapshot is not what the journal says. */
  | "SNAPSHOT_CHECKSUM"
  /** The WAL grew too far while a snapshot was written. */
  | "SNAPSHOT_WAL"
  /** The WAL grew too far while a database was verified. */
  | "VERIFICATION_WAL"
  /** What a follower sent for a comparison of pages is not what its status says. */
  | "RESYNC_REQUEST"
  /** The copy is being made equal to the upstream's. */
  | "RESYNC_RUNNING"
  /** There is a copy already, and nobody has said that it may be replaced. */
  | "COPY_EXISTS"
  /** Somebody else ships into the follower's mailbox. */
  | "LEASE_HELD"
  /** A later epoch has begun for the follower. */
  | "LEASE_EPOCH"
  /** Another mirror set uses the follower's mailbox. */
  | "LEASE_FOREIGN"
  /** A directory of the mailbox is a symbolic link. */
  | "MAILBOX_LINK"
  | "SEGMENT_GAP"
  | "SEGMENT_EPOCH"
  | "SEGMENT_CHAIN"
  | "SEGMENT_NAME"
  /** Larger than its header allows. */
  | "SEGMENT_SIZE"
  /** Made by nobody who commits to this database of this mirror set. */
  | "SEGMENT_SENDER"
  | "SEGMENT_OVERLAP"
  | "SEGMENT_PAGE_SIZE";

/** A member cannot do what was asked, or was sent something that it must not take. */
export class MemberError extends AfterimageError {
  override readonly name = "MemberError";
  readonly code: MemberErrorCode;

  constructor(code: MemberErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

export function notRunning(member: string): MemberError {
  return new MemberError("NOT_RUNNING", `no daemon serves ${member}`, {
    hint: "It reads the configuration when it starts: `afterimage run`. One that runs with another `state` needs a restart.",
  });
}

/** What is asked of a database after it was let go of. */
export function databaseClosed(name: string): MemberError {
  return new MemberError("DATABASE_UNKNOWN", `this member serves ${name} no longer`, {
    hint: "Its file was removed, or it was taken out of the configuration: look for DATABASE_REMOVED among the events.",
  });
}

/** Asked of a copy that is being made equal to the upstream's. */
export function resyncRunning(name: string): MemberError {
  return new MemberError("RESYNC_RUNNING", `the copy of ${name} is being made equal to the upstream's`, {
    hint: "Its daemon does that by itself once the upstream can be reached: see `afterimage status`.",
  });
}
