import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type FaultCode =
  | "YAML_SYNTAX"
  | "KEY_DUPLICATE"
  | "KEY_UNKNOWN"
  | "KEY_MISSING"
  | "TYPE_WRONG"
  | "VALUE_INVALID"
  | "VARIABLE_UNSET"
  | "DURATION_INVALID"
  | "SIZE_INVALID"
  | "CRON_INVALID"
  | "PATH_NOT_ABSOLUTE"
  | "PATH_TOO_LONG"
  | "MEMBER_NAME_INVALID"
  | "MEMBER_NAME_DUPLICATE"
  | "MEMBER_UNKNOWN"
  | "DATABASE_NAME_INVALID"
  | "DATABASE_NAME_DUPLICATE"
  | "DATABASE_PATTERN_INVALID"
  | "DATABASE_MISSING"
  | "DATABASE_UNKNOWN"
  | "DATABASE_PATH_SHARED"
  | "MAILBOX_INVALID"
  | "MAILBOX_SHARED"
  | "STATE_SHARED"
  | "STATE_EXPOSED"
  | "HOST_KEY_MISSING"
  | "HOST_KEY_UNUSED"
  | "HOST_KEY_INVALID"
  | "LISTEN_UNUSED"
  | "HTTP_EXPOSED"
  | "FOLLOWS_SELF"
  | "FOLLOWS_CYCLE"
  | "OPERATIONAL_TYPE";

/** One thing that is wrong in a configuration file, and where. */
export interface Fault {
  readonly code: FaultCode;
  readonly message: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  /** The key, such as `members.porto.mailbox`; empty for the file as a whole. */
  readonly path: string;
}

export type ConfigErrorCode = "CONFIG_MISSING" | "CONFIG_UNREADABLE" | "CONFIG_INVALID" | "MEMBER_UNKNOWN";

/** The configuration cannot be used. With CONFIG_INVALID, `faults` says everything that is wrong, in the order of the file. */
export class ConfigError extends AfterimageError {
  override readonly name = "ConfigError";
  readonly code: ConfigErrorCode;
  readonly faults: readonly Fault[];

  constructor(code: ConfigErrorCode, message: string, details?: ErrorDetails & { readonly faults?: readonly Fault[] }) {
    super(message, details);
    this.code = code;
    this.faults = details?.faults ?? [];
  }
}

/** `file:line:column: CODE key: message`, the form that editors and CI make links of. */
export function formatFault(file: string, fault: Fault): string {
  const where = fault.path === "" ? "" : `${fault.path}: `;
  return `${file}:${fault.line}:${fault.column}: ${fault.code} ${where}${fault.message}`;
}
