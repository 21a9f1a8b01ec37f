/** What is to be done next on which machine, after `afterimage init`: with commands that can be copied as they are. */
import { basename, dirname, join } from "node:path";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import type { MailboxTrial } from "../doctor/try-mailbox.ts";
import { INSTALL_SCRIPT, quote, UNIT } from "./init-files.ts";
import type { KeysPlace } from "./init-ssh.ts";

export interface NextStep {
  /** Null for any machine. */
  readonly member: string | null;
  readonly what: string;
  readonly commands: readonly string[];
}

export interface Prepared {
  readonly configuration: Configuration;
  /** Which member this machine is; null when it was not said. */
  readonly node: string | null;
  /** Whether the configuration is not on the other machines yet. */
  readonly isNew: boolean;
  /** `TYPE BASE64` of this member's key; null when there is none, or it is not known. */
  readonly publicKey: string | null;
  readonly keys: KeysPlace;
  /** Whether root has something to put into place: always but when nothing of it has changed. */
  readonly installs: boolean;
  readonly files: string;
  /** Who has to run the daemon, when that is somebody else than who ran this. */
  readonly runAs: string | null;
  readonly trials: readonly MailboxTrial[];
}

export function nextSteps(prepared: Prepared): NextStep[] {
  const { configuration, node } = prepared;
  const { operational } = configuration;
  const others = [...configuration.members.values()].filter(({ name }) => name !== node);
  if (node === null) {
    const names = [operational, ...others.map(({ name }) => name).filter((name) => name !== operational)];
    const prepare = names.map((name) => command(configuration.path, name, "init"));
    const what = "prepare each machine, with the configuration copied there";
    return [{ member: null, what, commands: prepare }, ...names.flatMap((name) => serve(prepared, name, false))];
  }
  const waiting = others.filter(
    ({ name }) => !prepared.trials.some(({ member, failed }) => member === name && failed === null),
  );
  const status = command(configuration.path, node, "status", prepared.runAs);
  return [
    ...install(prepared),
    ...(prepared.isNew ? others.flatMap((other) => copy(configuration.path, node, other)) : []),
    ...waiting.flatMap((other) => admit(prepared, node, other)),
    ...serve(prepared, node, true),
    ...(prepared.isNew ? [{ member: null, what: "see how it is getting on", commands: [status] }] : []),
  ];
}

function command(path: string, node: string, name: string, runAs: string | null = null): string {
  const sudo = runAs === null ? "" : `sudo -u ${quote(runAs)} `;
  return `${sudo}afterimage --config ${quote(path)} --node ${node} ${name}`;
}

function install({ keys, installs, files, node }: Prepared): NextStep[] {
  if (keys.kind !== "separate" || !installs) return [];
  const script = quote(join(files, INSTALL_SCRIPT));
  return [
    {
      member: node,
      what: "let sshd serve the mailbox, to the keys that were let in so far, as root (read it first)",
      commands: [`sudo sh ${script}`],
    },
  ];
}

/** Into the home directory, but for one that lies where every command looks for it. */
function copy(path: string, node: string, other: MemberConfiguration): NextStep[] {
  const mailbox = parseMailbox(other.mailbox);
  if (typeof mailbox === "string" || mailbox.kind === "file") return [];
  const port = mailbox.port === 22 || other.listen !== null ? "" : `-P ${mailbox.port} `;
  const host = mailbox.host.includes(":") ? `[${mailbox.host}]` : mailbox.host;
  const target = dirname(path) === "/etc" ? `${host}:/etc/` : `${host}:`;
  const what = `copy the configuration to ${other.name}, as a user who may log in there`;
  return [{ member: node, what, commands: [`scp ${port}${quote(path)} ${quote(target)}`] }];
}

function admit({ configuration, publicKey, isNew }: Prepared, node: string, other: MemberConfiguration): NextStep[] {
  const mailbox = parseMailbox(other.mailbox);
  const overSsh = typeof mailbox !== "string" && mailbox.kind === "sftp";
  const file = dirname(configuration.path) === "/etc" ? configuration.path : basename(configuration.path);
  const start = `afterimage --config ${quote(overSsh ? file : configuration.path)} --node ${other.name} init`;
  if (!overSsh) return isNew ? [{ member: other.name, what: "prepare it", commands: [start] }] : [];
  const key = publicKey ?? "TYPE KEY";
  const place = file === configuration.path ? "" : ", in the directory of the configuration";
  const what = isNew
    ? `prepare it, and let ${node} in${place}; it ends with a command for ${node}`
    : `let ${node} in${place}`;
  return [{ member: other.name, what, commands: [`${start} --authorize '${node}=${key}'`] }];
}

function serve({ configuration, files, runAs }: Prepared, name: string, hasUnit: boolean): NextStep[] {
  const as = runAs === null ? "" : `, as ${runAs}, who must be able to write the databases and their directories`;
  const run = { member: name, what: `start it${as}`, commands: [command(configuration.path, name, "run", runAs)] };
  if (!hasUnit) return [run];
  const enable = `sudo systemctl enable --now ${UNIT}`;
  const service = {
    member: name,
    what: "or let systemd start it, now and after every boot",
    commands: [`sudo install -m 644 ${quote(join(files, UNIT))} /etc/systemd/system/ && ${enable}`],
  };
  return [run, service];
}

/** Numbered, with the commands on lines of their own. */
export function stepLines(steps: readonly NextStep[]): string[] {
  return steps.flatMap(({ member, what, commands }, index) => [
    `  ${index + 1}. ${member === null ? "" : `on ${member}: `}${what}`,
    ...commands.map((each) => `       ${each}`),
  ]);
}
