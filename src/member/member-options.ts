import type { Logger } from "pino";
import type { Configuration } from "../config/configuration.ts";
import type { Overseer } from "../overseer/overseer.ts";
import type { MirrorStep } from "./mirror-duty.ts";
import type { RunbookStep } from "./runbook-steps.ts";

export interface MemberOptions {
  readonly configuration: Configuration;
  /** Name of the member that this machine is. */
  readonly member: string;
  readonly logger: Logger;
  /** Reads the configuration anew, for a reload. @throws ConfigError. */
  readonly readConfiguration?: () => Configuration;
  /** Is told how a daemon is; nobody when not given. */
  readonly overseer?: Overseer;
  readonly nowMs?: () => number;
  /** Called at every named step of a mirror, and of a command that changes roles; for fault tests. */
  readonly onStep?: (step: MirrorStep | RunbookStep) => void;
}
