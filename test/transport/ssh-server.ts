/**
 * A real OpenSSH server on the loopback address, with keys of its own: for root the mailbox is in a chroot and belongs to
 * an account without rights, as in config/sshd-mailbox.conf; for others it is in a directory of the test's own user.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import type { SshConfiguration } from "../../src/config/configuration.ts";
import { freePorts } from "../../src/demo/free-ports.ts";
import { type SftpMailbox, type SftpTimes, SftpTransport } from "../../src/transport/sftp-transport.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

export const SSHD = "/usr/sbin/sshd";
const IS_ROOT = userInfo().uid === 0;
/** Every directory above a chroot must be root's alone, which the directory for temporary files is not. */
const CHROOT_BASE = "/var/lib";
/** An account that every system has, and that owns nothing. */
const ACCOUNT = IS_ROOT ? "nobody" : userInfo().username;

export interface SshServer {
  readonly mailbox: SftpMailbox;
  readonly ssh: SshConfiguration;
  /** The mailbox's directory as this process sees it. */
  readonly directory: string;
  /** A directory for keys and the like, outside the mailbox. */
  readonly keys: string;
  /** The process that listens. */
  readonly process: ChildProcess;
  /** Processes that serve connections. */
  sessionPids(): number[];
  /** A new transport, closed at the end of the test. */
  open(overrides?: Partial<SftpMailbox>, times?: Partial<SftpTimes>): SftpTransport;
  /** Ends the server and everything that it serves. */
  stop(): Promise<void>;
  /** Starts it again on the same port, with another host key if it was replaced. */
  start(): Promise<void>;
}

export type KeyType = "ed25519" | "rsa" | "ecdsa";

export function generateKey(path: string, options: { type?: KeyType; passphrase?: string } = {}): void {
  const { type = "ed25519", passphrase = "" } = options;
  execFileSync("ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-C", "test", "-f", path]);
}

export function fingerprint(path: string): string {
  return execFileSync("ssh-keygen", ["-lf", path], { encoding: "utf8" }).split(" ")[1] ?? "";
}

export const NO_SSH: SshConfiguration = {
  identity: null,
  passphraseFile: null,
  passphraseVariable: null,
  knownHosts: null,
};

export interface SshServerOptions {
  /** The first of them is pinned. */
  readonly hostKeys?: readonly KeyType[];
  /** Of the SFTP server, such as `-P fsync`, which takes a request away from it. */
  readonly sftpArguments?: string;
  /** Files larger than this, in units of 512 bytes, are refused, as by a quota: the file system has room. */
  readonly maxFileBlocks?: number;
  /** Whether this process's user logs in, who also owns the mailbox, as it is when a daemon and its sshd share an account. */
  readonly sharedAccount?: boolean;
  /** Whether the mailbox belongs to this process's user, and only its inbox to the account that logs in. */
  readonly ownInbox?: boolean;
  /** False: none, also where root could give one. */
  readonly chroot?: boolean;
  /** Where it listens, if not on the loopback address of this process's network. */
  readonly network?: SeparateNetwork;
}

/** A network namespace, and the address in it. */
export interface SeparateNetwork {
  readonly namespace: string;
  readonly address: string;
}

export async function startSshServer(options: SshServerOptions = {}): Promise<SshServer> {
  if (!existsSync(SSHD)) throw new Error("no sshd here: install the Debian package openssh-server");
  const keys = temporaryDirectory();
  const chroot = IS_ROOT && options.chroot !== false;
  const base = IS_ROOT ? chrootDirectory() : temporaryDirectory();
  const directory = join(base, "mailbox");
  mkdirSync(directory);
  const inbox = join(directory, "inbox");
  if (options.ownInbox === true) mkdirSync(inbox);
  if (options.sharedAccount !== true) giveToAccount(options.ownInbox === true ? inbox : directory);
  generateKey(join(keys, "identity"));
  writeFileSync(join(keys, "authorized_keys"), readFileSync(join(keys, "identity.pub")));
  chmodSync(keys, 0o755);
  const hostKeys = options.hostKeys ?? ["ed25519"];
  for (const type of hostKeys) generateKey(join(keys, `host_${type}`), { type });
  const host = options.network?.address ?? "127.0.0.1";
  const port = await freePort();
  const configuration = [
    `Port ${port}`,
    `ListenAddress ${host}`,
    ...hostKeys.map((type) => `HostKey ${join(keys, `host_${type}`)}`),
    `AuthorizedKeysFile ${join(keys, "authorized_keys")}`,
    "AuthenticationMethods publickey",
    "PidFile none",
    "UsePAM no",
    "StrictModes no",
    "MaxStartups 100",
    "Subsystem sftp internal-sftp",
    `ForceCommand internal-sftp ${options.sftpArguments ?? ""}`,
    "DisableForwarding yes",
    ...(chroot ? [`ChrootDirectory ${base}`] : []),
  ];
  writeFileSync(join(keys, "sshd_config"), `${configuration.join("\n")}\n`);
  const server = new RunningServer(keys, directory, options, {
    host,
    port,
    user: options.sharedAccount === true ? userInfo().username : ACCOUNT,
    hostKey: fingerprint(join(keys, `host_${hostKeys[0]}`)),
    path: chroot ? "/mailbox" : directory,
    bandwidth: null,
  });
  await server.start();
  onTestFinished(() => server.stop());
  return server;
}

/** The mailbox belongs to the account that logs in. */
export function giveToAccount(path: string): void {
  if (!IS_ROOT) return;
  const [uid = "", gid = ""] = ["-u", "-g"].map((flag) => execFileSync("id", [flag, ACCOUNT], { encoding: "utf8" }));
  chownSync(path, Number(uid), Number(gid));
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

function chrootDirectory(): string {
  const path = mkdtempSync(join(CHROOT_BASE, "afterimage-test-"));
  chmodSync(path, 0o755);
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

class RunningServer implements SshServer {
  readonly keys: string;
  readonly directory: string;
  readonly mailbox: SftpMailbox;
  readonly ssh: SshConfiguration;
  readonly #options: SshServerOptions;
  #process: ChildProcess | null = null;

  constructor(keys: string, directory: string, options: SshServerOptions, mailbox: SftpMailbox) {
    this.#options = options;
    this.keys = keys;
    this.directory = directory;
    this.mailbox = mailbox;
    this.ssh = { ...NO_SSH, identity: join(keys, "identity") };
  }

  get process(): ChildProcess {
    if (this.#process === null) throw new Error("sshd does not run");
    return this.#process;
  }

  async start(): Promise<void> {
    // It runs each session as its own child; the separation directory is a condition of Debian's build.
    if (IS_ROOT) mkdirSync("/run/sshd", { recursive: true });
    const { maxFileBlocks, network } = this.#options;
    const limit = maxFileBlocks === undefined ? "" : `trap "" XFSZ; ulimit -f ${maxFileBlocks}; `;
    const place = network === undefined ? "" : `ip netns exec ${network.namespace} `;
    const command = `${limit}exec ${place}"$0" -D -e -f "$1"`;
    const child = spawn("/bin/sh", ["-c", command, SSHD, join(this.keys, "sshd_config")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#process = child;
    const lines: string[] = [];
    await new Promise<void>((resolve, reject) => {
      createInterface(child.stderr).on("line", (line) => {
        lines.push(line);
        if (line.startsWith("Server listening")) resolve();
      });
      child.once("exit", () => reject(new Error(`sshd ended: ${lines.join(" | ")}`)));
    });
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    for (const pid of descendants(child.pid ?? 0)) kill(pid, "SIGKILL");
    child.kill("SIGKILL");
    await exited;
  }

  sessionPids(): number[] {
    return descendants(this.process.pid ?? 0);
  }

  open(overrides: Partial<SftpMailbox> = {}, times: Partial<SftpTimes> = {}): SftpTransport {
    const transport = new SftpTransport({ ...this.mailbox, ...overrides }, this.ssh, times);
    onTestFinished(() => transport.close());
    return transport;
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}

/** The processes below one, all of which it started. */
function descendants(pid: number): number[] {
  const children = readFileIfThere(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function readFileIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
