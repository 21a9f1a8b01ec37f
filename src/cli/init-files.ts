/** The files that `afterimage init` writes for this machine's administrator: for sshd, for systemd, and what puts them into place. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { patternDirectory } from "../config/database-pattern.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import { makeDirectory, writeFileDurably } from "../durable-files.ts";
import type { KeysPlace } from "./init-ssh.ts";

/** systemd makes it, and gives it to the unit's user. */
const SYSTEM_STATE = "/var/lib/afterimage";
const KEYS_DIRECTORY = "/etc/ssh/mailbox-keys";
export const INSTALL_SCRIPT = "install.sh";

export interface Machine {
  readonly configuration: Configuration;
  readonly member: MemberConfiguration;
  /** Where the files go. */
  readonly files: string;
  readonly keys: KeysPlace;
  /** Who runs the daemon. */
  readonly user: string;
  /** The group of that user; null where it is not known. */
  readonly group: string | null;
  /** What starts this program, such as `/usr/bin/node /usr/bin/afterimage`. */
  readonly program: string;
}

/** Beside the configuration, so that machines that share a directory do not share this one. */
export function filesDirectory(configurationPath: string, member: string): string {
  return join(dirname(configurationPath), `afterimage-${member}`);
}

export const UNIT = "afterimage.service";

/** Returns the paths of what was not there, or was something else. */
export function writeMachineFiles(machine: Machine): string[] {
  const texts = new Map([[UNIT, unitText(machine)]]);
  if (machine.keys.kind === "separate") {
    texts.set("sshd-mailbox.conf", sshdText(machine));
    texts.set(INSTALL_SCRIPT, installText(machine));
    if (!existsSync(machine.keys.path)) texts.set("authorized_keys", "");
  }
  makeDirectory(machine.files);
  return [...texts].flatMap(([name, text]) => {
    const path = join(machine.files, name);
    if (existsSync(path) && readFileSync(path, "utf8") === text) return [];
    writeFileDurably(path, text);
    return [path];
  });
}

function shipped(name: string): string {
  return readFileSync(new URL(`../../config/${name}`, import.meta.url), "utf8");
}

function unitText({ configuration, member, user, group, program }: Machine): string {
  const example = shipped(`systemd/${UNIT}`);
  const unit =
    `# Serves the member ${member.name} of the mirror set ${configuration.mirror}.\n${example.slice(example.indexOf("[Unit]"))}`
      .replaceAll("/usr/bin/env afterimage", program)
      .replaceAll("/etc/afterimage.yaml", configuration.path)
      .replace(/^EnvironmentFile=.*$/m, `Environment=AFTERIMAGE_NODE=${member.name}`)
      .replace(/^User=.*$/m, `User=${user}`)
      .replace(/^Group=.*$/m, group === null ? "" : `Group=${group}`)
      .replace(/^ReadWritePaths=.*$/m, `ReadWritePaths=${writtenDirectories(member).join(" ")}`);
  return member.state === SYSTEM_STATE ? unit : unit.replace(/^StateDirectory.*\n/gm, "");
}

function writtenDirectories(member: MemberConfiguration): string[] {
  const { state, directory, backup, drill } = member;
  const optional = [backup?.directory, drill?.directory].filter((path) => typeof path === "string");
  const all = [state, directory, ...databaseDirectories(member), ...optional];
  return [...new Set(all)].filter((path) => path !== SYSTEM_STATE);
}

/** Of the databases that have names, and of those that patterns find. */
export function databaseDirectories({ databases, databasePatterns }: MemberConfiguration): string[] {
  return [
    ...new Set([...[...databases.values()].map((path) => dirname(path)), ...databasePatterns.map(patternDirectory)]),
  ];
}

interface Confinement {
  readonly account: string;
  /** Null when the account sees the whole file system. */
  readonly chroot: string | null;
}

function confinement({ member }: Machine): Confinement {
  const mailbox = parseMailbox(member.mailbox);
  if (typeof mailbox === "string" || mailbox.kind === "file") throw new Error("the mailbox is not reached by SFTP");
  const { directory } = member;
  const chroot = directory.endsWith(mailbox.path) ? directory.slice(0, -mailbox.path.length) : "";
  return { account: mailbox.user, chroot: chroot === "" ? null : chroot };
}

/** All that a member may do in a mailbox behind OpenSSH. */
export function forcedCommand(): string {
  return /^ {2}ForceCommand (.+)$/m.exec(shipped("sshd-mailbox.conf"))?.[1] ?? "internal-sftp";
}

/** The shipped example from its first directive on, with this machine's account and directory. */
function sshdText(machine: Machine): string {
  const { account, chroot } = confinement(machine);
  const example = shipped("sshd-mailbox.conf");
  const directives = example.slice(example.indexOf("Match User"));
  return [
    `# The mailbox of ${machine.member.name}: ${account} can do SFTP there, with the keys of the other members, and nothing else.`,
    directives
      .replace("Match User mirror", `Match User ${account}`)
      .replace(/^ {2}ChrootDirectory .*\n/m, chroot === null ? "" : `  ChrootDirectory ${chroot}\n`),
  ].join("\n");
}

/** Lines of a shell script that root runs; each may be run again. */
function installText(machine: Machine): string {
  const { member, configuration } = machine;
  const { account, chroot } = confinement(machine);
  const owned = `-o ${quote(account)} -g "$group"`;
  const identity = configuration.ssh.identity;
  const places = member.name === configuration.operational ? [] : databaseDirectories(member);
  const made = places
    .map((path) => `[ -n "$(ls -A ${quote(path)})" ] || chown ${quote(account)}: ${quote(path)}\n`)
    .join("");
  return `#!/bin/sh
# To be run by root on the machine of ${member.name}, also again: lets sshd serve the mailbox, and systemd start the daemon.
# The daemon runs as ${account}, who must be able to write the databases: ${[...member.databases.values()].join(" ")}
set -eu
cd "$(dirname "$0")"
id -u ${quote(account)} >/dev/null 2>&1 || useradd --system --home-dir / --shell /usr/sbin/nologin ${quote(account)}
group=$(id -gn ${quote(account)})
${chroot === null ? "" : `install -d -o root -g root -m 755 ${quote(chroot)}\n`}install -d ${owned} -m 700 ${quote(member.directory)} ${quote(member.state)}
${identity === null ? "" : `chown ${quote(account)}: ${quote(identity)} ${quote(`${identity}.pub`)}\n`}${made}install -d -m 755 ${KEYS_DIRECTORY}
install -m 644 authorized_keys ${KEYS_DIRECTORY}/${account}
install -m 644 sshd-mailbox.conf /etc/ssh/sshd_config.d/afterimage.conf
sshd -t
systemctl reload ssh 2>/dev/null || systemctl reload sshd 2>/dev/null || kill -HUP "$(cat /run/sshd.pid)"
if [ -d /etc/systemd/system ]; then install -m 644 ${UNIT} /etc/systemd/system/; fi
echo "sshd serves the mailbox of ${member.name} now, to as many keys: $(grep -c . authorized_keys || true); run this again after letting another one in"
`;
}

/** One word of the shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
