/** Turns the flags of `afterimage init` into the text of a configuration. */
import { stringify } from "yaml";
import { CliError } from "./cli-error.ts";

export interface InitFlags {
  readonly mirror: string;
  readonly operational: string;
  /** `NAME=MAILBOX_URL` */
  readonly member: readonly string[];
  /** `NAME=DIR` */
  readonly state?: readonly string[];
  /** `NAME=PATH` for every member, or `MEMBER:NAME=PATH` for one. */
  readonly database: readonly string[];
  /** `NAME=NAME` */
  readonly follows?: readonly string[];
  /** `NAME=failover|dr|reporting` */
  readonly type?: readonly string[];
  /** `NAME=SHA256:...` */
  readonly hostKey?: readonly string[];
  /** Cron expression or `continuous`. */
  readonly rotate?: string;
}

const DEFAULT_STATE = "/var/lib/afterimage";
const HEADING = `# The same file on every member. \`--node\` or AFTERIMAGE_NODE says which member a machine is.
# All keys are described in docs/CONFIG.md; \`afterimage config check\` reports every fault.
`;

/** @throws CliError USAGE when a flag is not of its form, or names a member that \`--member\` does not. */
export function configurationText(flags: InitFlags): string {
  const mailboxes = pairs(flags.member, "--member NAME=MAILBOX_URL");
  const names = [...mailboxes.keys()];
  const ofMember = (values: readonly string[] | undefined, form: string) =>
    knownMembers(pairs(values ?? [], form), names, form);
  const states = ofMember(flags.state, "--state NAME=DIR");
  const follows = ofMember(flags.follows, "--follows NAME=NAME");
  const types = ofMember(flags.type, "--type NAME=TYPE");
  const hostKeys = ofMember(flags.hostKey, "--host-key NAME=SHA256:...");
  const databases = databasesByMember(flags.database, names);
  const members = names.map((name) => {
    const optional = { hostKey: hostKeys.get(name), follows: follows.get(name), type: types.get(name) };
    return [
      name,
      {
        mailbox: mailboxes.get(name),
        ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
        state: states.get(name) ?? DEFAULT_STATE,
        databases: Object.fromEntries(databases.get(name) ?? []),
      },
    ];
  });
  const document = {
    mirror: flags.mirror,
    operational: flags.operational,
    members: Object.fromEntries(members),
    ...(flags.rotate === undefined ? {} : { journal: { rotate: flags.rotate } }),
  };
  return `${HEADING}${stringify(document, { lineWidth: 0 })}`;
}

function pairs(values: readonly string[], form: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const value of values) {
    const [, key, rest] = /^([^=]+)=(.+)$/s.exec(value) ?? [];
    if (key === undefined || rest === undefined) throw new CliError("USAGE", `${JSON.stringify(value)} is not ${form}`);
    if (found.has(key)) throw new CliError("USAGE", `${JSON.stringify(key)} is given twice with ${form}`);
    found.set(key, rest);
  }
  return found;
}

function knownMembers(found: Map<string, string>, names: readonly string[], form: string): Map<string, string> {
  for (const name of found.keys()) requireMember(name, names, form);
  return found;
}

function requireMember(name: string, names: readonly string[], form: string): void {
  if (!names.includes(name)) throw new CliError("USAGE", `no --member is named ${name}, which ${form} names`);
}

function databasesByMember(values: readonly string[], names: readonly string[]): Map<string, Map<string, string>> {
  const form = "--database [MEMBER:]NAME=PATH";
  const byMember = new Map(names.map((name) => [name, new Map<string, string>()]));
  for (const [key, path] of pairs(values, form)) {
    const [, member, database = key] = /^([^:]+):(.+)$/.exec(key) ?? [];
    if (member !== undefined) requireMember(member, names, form);
    for (const name of member === undefined ? names : [member]) byMember.get(name)?.set(database, path);
  }
  return byMember;
}
