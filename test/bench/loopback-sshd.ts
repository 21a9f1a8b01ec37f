/** OpenSSH's server on the loopback address, for peers that speak SSH; one key logs the present user in. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePorts } from "../../src/demo/free-ports.ts";

export class LoopbackSshd {
  /** For `ssh` and `sftp`: identity and host key, without the port. */
  readonly options: readonly string[];
  readonly port: number;
  readonly user = userInfo().username;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, port: number, options: readonly string[]) {
    this.#process = process;
    this.port = port;
    this.options = options;
  }

  /** Keys and configuration go to `directory`, which is made. */
  static async start(program: string, directory: string): Promise<LoopbackSshd> {
    mkdirSync(directory, { recursive: true });
    const [identity, hostKey] = ["identity", "host"].map((name) => join(directory, name));
    for (const path of [identity, hostKey])
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", String(path)]);
    copyFileSync(`${identity}.pub`, join(directory, "authorized_keys"));
    const [port = 0] = await freePorts(1);
    const configuration = join(directory, "sshd_config");
    const keys = {
      Port: port,
      ListenAddress: "127.0.0.1",
      HostKey: hostKey,
      AuthorizedKeysFile: join(directory, "authorized_keys"),
      PermitRootLogin: "prohibit-password",
      StrictModes: "no",
      UsePAM: "no",
      PidFile: "none",
      Subsystem: "sftp internal-sftp",
    };
    writeFileSync(
      configuration,
      Object.entries(keys)
        .map(([key, value]) => `${key} ${value}\n`)
        .join(""),
    );
    // Debian's build wants this directory of root.
    if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true });
    const process = spawn(program, ["-D", "-e", "-f", configuration], { stdio: ["ignore", "ignore", "pipe"] });
    const ended = once(process, "exit").then(() => {
      throw new Error("sshd ended");
    });
    const listening = new Promise<void>((resolve) => {
      createInterface(process.stderr).on("line", (line) => {
        if (line.startsWith("Server listening")) resolve();
      });
    });
    await Promise.race([listening, ended]);
    ended.catch(() => undefined);
    const known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"];
    return new LoopbackSshd(process, port, ["-i", String(identity), ...known]);
  }

  async stop(): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    await exited;
  }
}
