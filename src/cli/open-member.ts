import type { Logger } from "pino";
import type { Member } from "../member/member.ts";
import type { MemberOptions } from "../member/member-options.ts";
import type { Selection } from "./open-configuration.ts";

/**
 * Opens the member in this process. Its code is loaded only now: SQLite, the watcher and the rest of it take longer to load
 * than a question to the daemon takes.
 * @param daemon what only a daemon needs.
 * @throws StateError LOCK_HELD when another process has the state directory.
 */
export async function openMember(
  { configuration, member }: Selection,
  logger: Logger,
  daemon: Pick<MemberOptions, "readConfiguration" | "overseer"> = {},
): Promise<Member> {
  const module = await import("../member/member.ts");
  return await module.Member.open({ configuration, member: member.name, logger, ...daemon });
}
