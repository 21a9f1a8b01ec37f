/** What another member's status document tells of the way back, and whether its databases fit to those here. Pure functions. */
import { type CheckResult, failure, ok, warning } from "../member/check-result.ts";
import type { MemberStatus } from "../status/member-status.ts";

/**
 * The way from that member to this one, which it tries all the time when it ships to this one, or follows it.
 * @param status of the other member, which lives.
 * @param self this member's name.
 */
export function checkWayBack(status: MemberStatus, self: string): CheckResult[] {
  const check = `way from ${status.member}`;
  const doctor = `Run \`afterimage doctor\` on ${status.member}: it tries that way.`;
  const follower = status.followers[self];
  if (follower !== undefined && follower.via === null) {
    const { error, reachable } = follower;
    if (error !== null)
      return [failure(check, `it cannot ship here: ${error.code}: ${error.message}`, error.hint ?? doctor)];
    if (reachable) return [ok(check, "it ships here")];
    return [
      warning(check, "it ships here, and sees no sign of life of this member", `Start the daemon here. ${doctor}`),
    ];
  }
  if (status.follows !== self) return [];
  if (status.state === "waiting") {
    return [warning(check, "it follows this member, and hears nothing of it", `Start the daemon here. ${doctor}`)];
  }
  return [ok(check, "it follows this member, and hears it")];
}

/**
 * Whether copies of one database have pages of one size.
 * @param here page sizes by database, of this member's files.
 */
export function checkPageSizes({ member, databases }: MemberStatus, here: ReadonlyMap<string, number>): CheckResult[] {
  const check = `page sizes of ${member}`;
  const both = [...here].flatMap(([name, size]) => {
    const other = databases[name]?.pageSize ?? null;
    return other === null ? [] : [{ name, size, other }];
  });
  const different = both.filter(({ size, other }) => size !== other);
  if (different.length > 0) {
    const list = different
      .map(({ name, size, other }) => `${name} has ${other} bytes there and ${size} here`)
      .join(", ");
    const hint =
      "A page size cannot change below a mirror: `afterimage rebuild DATABASE --method snapshot` on the mirror.";
    return [failure(check, list, hint)];
  }
  return both.length === 0 ? [] : [ok(check, "the same as here")];
}
