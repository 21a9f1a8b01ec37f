import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import type { CheckResult } from "../member/check-result.ts";

/** The member whose machine is looked at, which is this one. */
export interface Subject {
  readonly configuration: Configuration;
  readonly member: MemberConfiguration;
}

/** Looks at one kind of thing and changes nothing. What cannot be looked at is a result too: it does not throw. */
export type Check = (subject: Subject) => readonly CheckResult[] | Promise<readonly CheckResult[]>;
