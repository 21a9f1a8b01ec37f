/** What `afterimage status` says to a script. */
import type { ErrorView, MemberStatus, MirrorSetStatus } from "../status/member-status.ts";
import { isSeen } from "../status/mirror-set-view.ts";
import { EXIT, type ExitCode, exitCodeOfCode } from "./exit-codes.ts";

/**
 * The first that applies: `outOfSync`, a copy must be rebuilt; `unreachable`, nobody but the member that answers can be
 * reached; `failed`, an error is shown, or somebody is down or not known to live; `done`. Warnings do not count.
 */
export function statusExitCode({ members, answeredBy }: MirrorSetStatus): ExitCode {
  const codes = members.flatMap((member) => errorsOf(member).map(({ code }) => code));
  if (members.some(isOutOfSync) || codes.some((code) => exitCodeOfCode(code) === EXIT.outOfSync)) return EXIT.outOfSync;
  const lost = members.filter((member) => !isSeen(member, members)).map(({ member }) => member);
  const others = members.map(({ member }) => member).filter((member) => member !== answeredBy);
  if (others.length > 0 && others.every((member) => lost.includes(member))) return EXIT.unreachable;
  return codes.length > 0 || lost.length > 0 ? EXIT.failed : EXIT.done;
}

function errorsOf({ errors, databases, followers }: MemberStatus): ErrorView[] {
  const ofParts = [...Object.values(databases), ...Object.values(followers)].flatMap(({ error }) => error ?? []);
  return [...errors, ...ofParts];
}

function isOutOfSync({ state, databases }: MemberStatus): boolean {
  return state === "inconsistent" || Object.values(databases).some(({ verified }) => verified?.ok === false);
}
