/** Who has which role, as far as this member knows: how a command that changes roles ends. */
import type { MemberState, MemberStatus, MirrorSetStatus } from "../status/member-status.ts";

export interface RoleView {
  readonly member: string;
  readonly role: MemberStatus["role"];
  readonly state: MemberState;
  /** The newest that the member knows of; null when nothing is known of it. */
  readonly epoch: number | null;
}

export function knownRoles({ members }: MirrorSetStatus): RoleView[] {
  return members.map(({ member, role, state, epoch }) => ({ member, role, state, epoch }));
}
