/** OpenSSH's server for a benchmark: one account, which is this user, with SFTP, and a shell for what needs one (rsync). */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePorts } from "../../src/demo/free-ports.ts";

/** How to log in there. */
export interface SshAccount {
  readonly port: number;
  readonly user: string;
  /** Path of the private key. */
  readonly identity: string;
  /** The server's public key, as a line of `known_hosts` has it behind the host. */
  readonly hostKey: string;
}

export interface OpenSsh extends AsyncDisposable {
  readonly account: SshAccount;
}

/** Starts it on the loopback address. @param sshd the program. @param root a directory that it makes, for its keys. */
export async function startOpenSsh(sshd: string, root: string): Promise<OpenSsh> {
  const [identity, hostKey, config] = [join(root, "identity"), join(root, "host"), join(root, "sshd_config")];
  mkdirSync(root);
  for (const key of [identity, hostKey])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key]);
  copyFileSync(`${identity}.pub`, join(root, "authorized_keys"));
  const [port = 0] = await freePorts(1);
  const lines = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${join(root, "authorized_keys")}`,
    "AuthenticationMethods publickey",
    "PermitRootLogin prohibit-password",
    "StrictModes no",
    "UsePAM no",
    "PidFile none",
    "Subsystem sftp internal-sftp",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  // A condition of Debian's build.
  if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true });
  const server = spawn(sshd, ["-D", "-e", "-f", config], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(server, "exit");
  await new Promise<void>((resolve, reject) => {
    createInterface(server.stderr).on("line", (line) => {
      if (line.startsWith("Server listening")) resolve();
    });
    server.once("exit", () => reject(new Error("sshd ended")));
  });
  return {
    account: { port, user: userInfo().username, identity, hostKey: readFileSync(`${hostKey}.pub`, "utf8").trim() },
    async [Symbol.asyncDispose]() {
      server.kill();
      await exited;
    },
  };
}
