import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type SalvageErrorCode =
  /** Nothing at the given place is a member's state, journal or database. */
  | "SALVAGE_NOTHING_FOUND"
  /** What is there belongs to another mirror set, or to this very member. */
  | "SALVAGE_FOREIGN"
  /** A link leads out of the given directory. */
  | "SALVAGE_OUTSIDE"
  | "SALVAGE_EPOCH"
  | "SALVAGE_MEMBER_ALIVE"
  /** A file changed while it was copied. */
  | "SALVAGE_IN_USE"
  | "SALVAGE_UNREADABLE"
  /** The WAL does not go on where the journal ends. */
  | "SALVAGE_WAL_DIFFERENT"
  /** The database is at an earlier state than the journal. */
  | "SALVAGE_OLDER"
  /** What was salvaged is not what the lost database shows, or that could not be looked at. */
  | "SALVAGE_UNPROVED"
  | "SALVAGE_PAGE_SIZE"
  /** The mirror's own journal does not fit its page checksums. */
  | "SALVAGE_CHECKSUM"
  | "SALVAGE_SPACE"
  /** The mirror received something else meanwhile. */
  | "SALVAGE_MIRROR_MOVED"
  /** The mirror did not integrate what was salvaged. */
  | "SALVAGE_NOT_TAKEN";

/** Why something cannot, or must not, be salvaged. Nothing was changed, on either side. */
export class SalvageError extends AfterimageError {
  override readonly name = "SalvageError";
  override readonly code: SalvageErrorCode;

  constructor(code: SalvageErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}
