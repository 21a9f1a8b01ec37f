/** `afterimage doctor --show-host-key`: the host key of a member's SSH server, to compare and pin. */
import { existsSync } from "node:fs";
import { type HostKeyTarget, hostKeyTarget } from "../doctor/host-key-target.ts";
import { fingerprintOf } from "../transport/ssh-host-key.ts";
import { shownHostKey, typeOfHostKey } from "../transport/ssh-shown-host-key.ts";
import type { TransportError } from "../transport/transport-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { configurationPathOrNull } from "./open-configuration.ts";

/** How a key stands to what is known: that of the configuration, that of the list of known hosts, another one, or new. */
type Verdict = "pinned" | "listed" | "changed" | "unknown";

interface HostKeyReport {
  readonly member: string | null;
  readonly host: string;
  readonly port: number;
  /** Such as `ssh-ed25519`. */
  readonly type: string;
  readonly fingerprint: string;
  /** For the member's section of the configuration. */
  readonly line: string;
  readonly verdict: Verdict;
  /** The verdict in words. */
  readonly message: string;
  /** How to make sure that it is that machine's key, there. */
  readonly compare: string;
}

/** Exit code 3 when the key is another than the one that is pinned or listed. */
export async function showHostKey(args: GlobalOptions & { target: string }, io: CommandIo): Promise<number> {
  const target = hostKeyTarget(args.target, configurationPathOrNull(args, io), io.environment);
  const { bytes, fault } = await shownHostKey(target);
  const report = reportOf(target, bytes, fault);
  print(args, io, report, () => reportLines(report, target));
  return report.verdict === "changed" ? EXIT.refused : EXIT.done;
}

function reportOf(target: HostKeyTarget, key: Buffer, fault: TransportError | null): HostKeyReport {
  const { member, host, port } = target;
  const [type, fingerprint] = [typeOfHostKey(key), fingerprintOf(key)];
  const verdict = verdictOf(target, fault);
  const message = messageOf(verdict, target, fault);
  const line = `hostKey: ${fingerprint}`;
  return { member, host, port, type, fingerprint, line, verdict, message, compare: comparison(target, type) };
}

function verdictOf({ hostKey }: HostKeyTarget, fault: TransportError | null): Verdict {
  if (fault === null) return hostKey === null ? "listed" : "pinned";
  return fault.code === "HOST_KEY_CHANGED" ? "changed" : "unknown";
}

function messageOf(verdict: Verdict, { member, knownHosts }: HostKeyTarget, fault: TransportError | null): string {
  switch (verdict) {
    case "pinned":
      return `It is the key that is pinned for ${member}.`;
    case "listed":
      return `It is listed in ${knownHosts}.`;
    case "changed":
      return `IT IS ANOTHER KEY: ${fault?.message}. Somebody may be posing as that machine.`;
    case "unknown": {
      const list = knownHosts !== null && existsSync(knownHosts) ? `, and not listed in ${knownHosts}` : "";
      return `It is not pinned${list}.`;
    }
  }
}

function comparison({ keyFile }: HostKeyTarget, type: string): string {
  return keyFile === null ? comparingCommand(type) : `ssh-keygen -lf ${keyFile}`;
}

/** Prints, on the machine itself, the fingerprint of sshd's key of a type. */
export function comparingCommand(type: string): string {
  const name = /ed25519|rsa|ecdsa/.exec(type)?.[0] ?? "*";
  return `ssh-keygen -lf /etc/ssh/ssh_host_${name}_key.pub`;
}

function reportLines(report: HostKeyReport, { keyFile }: HostKeyTarget): string[] {
  const { host, port, type, line, message, compare, verdict } = report;
  const elsewhere =
    "Where Afterimage's daemon serves the mailbox itself, the file is ssh_host_ed25519_key in its state directory.";
  const advice = [
    "Compare before you pin it: this, on that machine itself, must print the same fingerprint:",
    `  ${compare}`,
    ...(keyFile === null ? [elsewhere] : []),
  ];
  return [
    `${host}:${port} shows a host key of type ${type}:`,
    `  ${line}`,
    message,
    ...(verdict === "pinned" ? [] : advice),
  ];
}
