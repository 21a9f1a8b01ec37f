/** Turns the flags of `afterimage init` into the text of a configuration. */
import { join, posix } from "node:path";
import { stringify } from "yaml";
import { CliError } from "./cli-error.ts";

export interface InitFlags {
  readonly mirror: string;
  readonly operational: string;
  /** `NAME=MAILBOX_URL`, or `NAME=HOST[:PORT]`, from which the URL is made. */
  readonly member: readonly string[];
  /** `NAME=DIR` */
  readonly state?: readonly string[];
  /** `NAME=DIR`: a mailbox as its own member sees it. */
  readonly directory?: readonly string[];
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
  /** The account that members given by their host log in to; this user when not given. */
  readonly account?: string;
  /** The private key file that members log in with. */
  readonly identity?: string;
  /** Port of HTTP on the loopback address of every member; without it there is no HTTP. */
  readonly http?: number;
}

/** Who runs the command. */
export interface SystemUser {
  readonly name: string;
  readonly home: string;
  readonly isRoot: boolean;
}

const DEFAULT_STATE = "/var/lib/afterimage";
/** What an account sees that OpenSSH confines, and where that is: as config/sshd-mailbox.conf has it. */
const CONFINED_PATH = "/mailbox";
const CONFINED_DIRECTORY = "/srv/afterimage/mailbox";
const IDENTITY_NAME = "id_ed25519";
const HEADING = `# The same file on every member. \`--node\` or AFTERIMAGE_NODE says which member a machine is.
# All keys are described in docs/CONFIG.md; \`afterimage config check\` reports every fault.
`;

/** The state directory when none is named: only root can make one in /var/lib. */
export function defaultState({ account }: Pick<InitFlags, "account">, user: SystemUser): string {
  const isOwn = account === undefined || account === user.name;
  return isOwn && !user.isRoot ? "~/.local/state/afterimage" : DEFAULT_STATE;
}

/** @throws CliError USAGE when a flag is not of its form, or names a member that \`--member\` does not. */
export function configurationText(flags: InitFlags, user: SystemUser): string {
  const mailboxes = pairs(flags.member, "--member NAME=HOST or NAME=MAILBOX_URL");
  const names = [...mailboxes.keys()];
  const ofMember = (values: readonly string[] | undefined, form: string) =>
    knownMembers(pairs(values ?? [], form), names, form);
  const states = ofMember(flags.state, "--state NAME=DIR");
  const directories = ofMember(flags.directory, "--directory NAME=DIR");
  const follows = ofMember(flags.follows, "--follows NAME=NAME");
  const types = ofMember(flags.type, "--type NAME=TYPE");
  const hostKeys = ofMember(flags.hostKey, "--host-key NAME=SHA256:...");
  const databases = databasesByMember(flags.database, names);
  const stateOf = (name: string) => states.get(name) ?? defaultState(flags, user);
  const members = [...mailboxes].map(([name, address]) => {
    const { mailbox, directory } = mailboxOf(address, flags, user);
    const optional = {
      directory: directories.get(name) ?? directory ?? undefined,
      hostKey: hostKeys.get(name),
      follows: follows.get(name),
      type: types.get(name),
      http: flags.http === undefined ? undefined : { port: flags.http },
    };
    return [
      name,
      {
        mailbox,
        ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
        state: stateOf(name),
        databases: Object.fromEntries(databases.get(name) ?? []),
      },
    ] as const;
  });
  const overSsh = members.some(([, { mailbox }]) => mailbox.startsWith("sftp:"));
  const identity = flags.identity ?? (overSsh ? join(stateOf(flags.operational), IDENTITY_NAME) : undefined);
  const document = {
    mirror: flags.mirror,
    operational: flags.operational,
    members: Object.fromEntries(members),
    ...(identity === undefined ? {} : { ssh: { identity } }),
    ...(flags.rotate === undefined ? {} : { journal: { rotate: flags.rotate } }),
  };
  return `${HEADING}${stringify(document, { lineWidth: 0 })}`;
}

/**
 * The mailbox of a member that is given by its host: in a directory of this user, or, for another account, in one that OpenSSH
 * confines it to.
 * @returns `directory` null where the URL's path is the place.
 */
export function mailboxOf(
  address: string,
  { account }: Pick<InitFlags, "account">,
  user: SystemUser,
): { readonly mailbox: string; readonly directory: string | null } {
  if (address.includes("://")) return { mailbox: address, directory: null };
  const host = address.replace(/^([0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*)$/i, "[$1]");
  if (account !== undefined && account !== user.name)
    return { mailbox: `sftp://${account}@${host}${CONFINED_PATH}`, directory: CONFINED_DIRECTORY };
  const path = user.isRoot ? "/var/lib/afterimage-mailbox" : posix.join(user.home, "afterimage-mailbox");
  return { mailbox: `sftp://${user.name}@${host}${path}`, directory: null };
}

/** @throws CliError USAGE. */
export function pairs(values: readonly string[], form: string): Map<string, string> {
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
