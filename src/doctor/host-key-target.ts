/** Whose host key is asked for: a member's of the configuration, also of one that has faults still, or any machine's. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { ConfigError } from "../config/config-error.ts";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { loadConfiguration } from "../config/load-configuration.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import { nearestName } from "../config/nearest-name.ts";
import type { Environment } from "../config/yaml-source.ts";
import { hostKeyPath } from "../endpoint/host-key.ts";
import type { HostKeySource } from "../transport/ssh-host-key.ts";
import { TransportError } from "../transport/transport-error.ts";

const SSH_PORT = 22;

export interface HostKeyTarget extends HostKeySource {
  /** Null for a machine that no member has. */
  readonly member: string | null;
  /** The key's file on the machine itself, where it is known. */
  readonly keyFile: string | null;
}

const faultyFileSchema = z.object({
  members: z.record(z.string(), z.looseObject({ mailbox: z.string(), hostKey: z.string().nullish() })),
});

/**
 * @param file the configuration; null when there is none.
 * @param name a member, or `host`, `host:port`, `[address]:port`.
 * @throws ConfigError; TransportError URL_INVALID when it is neither, or when the member's mailbox is a directory.
 */
export function hostKeyTarget(name: string, file: string | null, environment: Environment): HostKeyTarget {
  if (file === null) return machine(name, usersKnownHosts());
  try {
    const configuration = loadConfiguration(file, { environment });
    const knownHosts = configuration.ssh.knownHosts ?? usersKnownHosts();
    const member = configuration.members.get(name);
    return member === undefined ? machine(meant(name, configuration), knownHosts) : ofMember(member, knownHosts);
  } catch (error) {
    if (!(error instanceof ConfigError) || error.code !== "CONFIG_INVALID") throw error;
    // A configuration that lacks host keys has faults, and this is where they come from.
    return ofFaultyFile(name, file) ?? machine(name, usersKnownHosts());
  }
}

function ofMember({ name, mailbox, hostKey, listen, state }: MemberConfiguration, knownHosts: string): HostKeyTarget {
  const keyFile = listen === null ? null : hostKeyPath(listen.hostKey, state);
  return { ...sshServer(name, mailbox), hostKey, knownHosts, member: name, keyFile };
}

function ofFaultyFile(name: string, file: string): HostKeyTarget | null {
  const parsed = faultyFileSchema.safeParse(parse(readFileSync(file, "utf8"), { logLevel: "silent" }));
  const member = parsed.success ? parsed.data.members[name] : undefined;
  if (member === undefined) return null;
  const hostKey = member.hostKey ?? null;
  return { ...sshServer(name, member.mailbox), hostKey, knownHosts: usersKnownHosts(), member: name, keyFile: null };
}

function sshServer(name: string, address: string): { host: string; port: number } {
  const mailbox = parseMailbox(address);
  if (typeof mailbox !== "string" && mailbox.kind === "sftp") return { host: mailbox.host, port: mailbox.port };
  const why = typeof mailbox === "string" ? mailbox : "it is a directory, without a host key";
  throw new TransportError("URL_INVALID", `the mailbox of ${name} is not reached by SFTP: ${why}`);
}

function machine(text: string, knownHosts: string): HostKeyTarget {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^:@/\s]+)(?::(\d{1,5}))?$/.exec(text);
  const host = bracketed?.[1] ?? (/^[0-9a-fA-F:.]+$/.test(text) ? text : null);
  const port = Number(bracketed?.[2] ?? SSH_PORT);
  if (host !== null && port > 0 && port < 65_536) {
    return { host, port, hostKey: null, knownHosts, member: null, keyFile: null };
  }
  throw new TransportError("URL_INVALID", `${JSON.stringify(text)} is neither a member nor a machine`, {
    hint: "Write a member's name, or HOST, HOST:PORT or [ADDRESS]:PORT.",
  });
}

/** A member's name with a slip in it would be looked for in the network. */
function meant(name: string, { members, mirror, path }: Configuration): string {
  const nearest = /[.:]/.test(name) ? null : nearestName(name, members.keys());
  if (nearest === null) return name;
  const message = `there is no member ${name} in the mirror set ${mirror}`;
  const hint = `did you mean ${nearest}? A machine of this name is written ${name}:${SSH_PORT}`;
  throw new ConfigError("MEMBER_UNKNOWN", message, { path, hint });
}

function usersKnownHosts(): string {
  return join(homedir(), ".ssh", "known_hosts");
}
