import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { generateKey, SSHD, type SshServer, startSshServer } from "./ssh-server.ts";
import { describeTransport } from "./transport-contract.ts";

const EXAMPLE = fileURLToPath(new URL("../../config/sshd-mailbox.conf", import.meta.url));
const SFTP_ARGUMENTS = /^ *ForceCommand internal-sftp (.*)$/m.exec(readFileSync(EXAMPLE, "utf8"))?.[1] ?? "";

describeTransport("an OpenSSH server", async () => {
  const server = await startSshServer();
  return {
    open: () => server.open(),
    takeAway: () => renameSync(server.directory, `${server.directory}.gone`),
    isThere: () => existsSync(server.directory),
  };
});

describeTransport("an OpenSSH server as the example for sshd has it", async () => {
  const server = await startSshServer({ sftpArguments: SFTP_ARGUMENTS });
  return {
    open: () => server.open(),
    takeAway: () => renameSync(server.directory, `${server.directory}.gone`),
    isThere: () => existsSync(server.directory),
  };
});

describe("a key for a mailbox behind OpenSSH, as the example for sshd has it,", () => {
  /** Runs a program of OpenSSH's with the key. */
  function client(server: SshServer, program: "ssh" | "sftp", parameters: string[], input = "") {
    const { host, port, user } = server.mailbox;
    const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
    const at = [...options, `IdentityFile=${join(server.keys, "identity")}`, "IdentitiesOnly=yes"];
    const flags = [...at.flatMap((option) => ["-o", option]), program === "ssh" ? "-p" : "-P", String(port)];
    const run = spawnSync(program, [...flags, ...parameters, `${user}@${host}`], { input, encoding: "utf8" });
    return { status: run.status, output: `${run.stdout}${run.stderr}` };
  }

  const sftp = (server: SshServer, ...commands: string[]) =>
    client(server, "sftp", ["-b", "-"], `${commands.map((command) => `-${command}`).join("\n")}\n`).output;

  test("runs no command, gets no shell, and forwards nothing", async () => {
    const server = await startSshServer({ sftpArguments: SFTP_ARGUMENTS });
    for (const parameters of [["-T"], ["-tt"]]) {
      const { output } = client(server, "ssh", parameters, "id\nexit\n");
      expect(output).not.toContain("uid=");
    }
    const forwarded = client(server, "ssh", ["-W", `127.0.0.1:${server.mailbox.port}`]);
    expect(forwarded).toMatchObject({ status: 255, output: expect.stringMatching(/forwarding failed|prohibited/) });
    expect(client(server, "ssh", ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22"]).status).toBe(255);
  });

  test("makes no links, and changes no modes, owners or times", async () => {
    const server = await startSshServer({ sftpArguments: SFTP_ARGUMENTS });
    const { path } = server.mailbox;
    mkdirSync(join(server.directory, "d"));
    const modes = statSync(server.directory).mode;
    const output = sftp(server, `ln -s /etc ${path}/link`, `chmod 777 ${path}`, `chown 0 ${path}`, `rmdir ${path}/d`);
    expect(output.match(/Permission denied/g)).toHaveLength(4);
    expect(statSync(server.directory).mode).toBe(modes);
    expect(readdirSync(server.directory)).toEqual(["d"]);
  });

  test.runIf(userInfo().uid === 0)("writes only into the inbox where the daemon has a user of its own", async () => {
    const server = await startSshServer({ sftpArguments: SFTP_ARGUMENTS, ownInbox: true });
    writeFileSync(join(server.directory, "status.json"), "{}");
    const transport = server.open();
    const local = join(temporaryDirectory(), "local");
    writeFileSync(local, "segment");
    expect(await transport.put(local, "inbox/clinic/0000000000000001/x.ltx")).toBe("stored");
    expect(Buffer.from((await transport.read("status.json", { maxBytes: 10 })) ?? []).toString()).toBe("{}");
    const status = join(server.directory, "status.json");
    await expect(transport.publish("status.json", Buffer.from("forged"))).rejects.toMatchObject({
      code: "TARGET_DENIED",
    });
    const { path } = server.mailbox;
    const output = sftp(server, `rm ${path}/status.json`, `mkdir ${path}/resync`, `rename ${path}/inbox ${path}/away`);
    expect(output.match(/Permission denied/g)).toHaveLength(3);
    expect(readFileSync(status, "utf8")).toBe("{}");
    expect(readdirSync(server.directory).sort()).toEqual(["inbox", "status.json"]);
  });

  test.runIf(userInfo().uid === 0)("sees nothing outside its chroot", async () => {
    const server = await startSshServer({ sftpArguments: SFTP_ARGUMENTS });
    const target = join(temporaryDirectory(), "stolen");
    const output = sftp(server, `get /etc/passwd ${target}`, `get ../../etc/passwd ${target}`, "ls /");
    expect(existsSync(target)).toBe(false);
    expect(output).toContain("/mailbox");
    expect(output).not.toContain("/etc\n");
  });
});

test("the example for sshd gives its account SFTP in a chroot and nothing else, and others what they had", () => {
  const hostKey = join(temporaryDirectory(), "key");
  generateKey(hostKey);
  const settingsOf = (user: string) =>
    execFileSync(SSHD, ["-T", "-f", EXAMPLE, "-h", hostKey, "-C", `user=${user},host=h,addr=127.0.0.1`], {
      encoding: "utf8",
    }).split("\n");
  const settings = [
    "chrootdirectory /srv/afterimage",
    `forcecommand internal-sftp ${SFTP_ARGUMENTS}`,
    "authorizedkeysfile /etc/ssh/mailbox-keys/%u",
    "authenticationmethods publickey",
    "disableforwarding yes",
    "permittty no",
  ];
  expect(settingsOf("mirror")).toEqual(expect.arrayContaining(settings));
  for (const setting of settings) expect(settingsOf("somebody")).not.toContain(setting);
});
