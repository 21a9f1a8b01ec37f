/** Members of any small set in the test's own process: other names, more databases, more followers. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { stringify } from "yaml";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { Member } from "../../src/member/member.ts";
import type { MemberOptions } from "../../src/member/member-options.ts";
import { FIRST_EPOCH } from "./members.ts";

export interface SetShape {
  readonly mirror: string;
  readonly databases: readonly string[];
  /** The first is operational; each of the others follows the one before it. */
  readonly members: readonly string[];
  /** All others follow the operational member instead. */
  readonly spokes?: boolean;
}

type Keys = Readonly<Record<string, string | number>>;

export interface SetMemberOptions extends Pick<MemberOptions, "nowMs" | "onStep"> {
  /** The configuration's `journal` section. */
  readonly journal?: Keys;
  /** Further keys of the member. */
  readonly keys?: Keys;
}

/** Opens a member of the set in `root`. The caller closes it. */
export async function openSetMember(
  root: string,
  member: string,
  shape: SetShape,
  options: SetMemberOptions = {},
): Promise<Member> {
  const { journal = {}, keys = {}, ...hooks } = options;
  const path = join(root, "afterimage.yaml");
  const [operational] = shape.members;
  const entries = shape.members.map((name, i) => [
    name,
    {
      mailbox: `file://${join(root, name, "mailbox")}`,
      state: join(root, name, "state"),
      databases: Object.fromEntries(shape.databases.map((each) => [each, setDatabasePath(root, name, each)])),
      ...(i < 2 || shape.spokes === true ? {} : { follows: shape.members[i - 1] }),
      ...(name === member ? keys : {}),
    },
  ]);
  mkdirSync(root, { recursive: true });
  writeFileSync(path, stringify({ mirror: shape.mirror, operational, members: Object.fromEntries(entries), journal }));
  return await Member.open({
    configuration: loadConfiguration(path),
    member,
    logger: pino({ level: "silent" }),
    ...hooks,
  });
}

export function setDatabasePath(root: string, member: string, database: string): string {
  return join(root, `${member}-${database}.db`);
}

export function setInboxPath(root: string, member: string, database: string): string {
  return join(root, member, "mailbox", "inbox", database, FIRST_EPOCH);
}
