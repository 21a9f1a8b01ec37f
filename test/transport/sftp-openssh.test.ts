import { execFileSync } from "node:child_process";
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { generateKey, SSHD, startSshServer } from "./ssh-server.ts";
import { describeTransport } from "./transport-contract.ts";

describeTransport("an OpenSSH server", async () => {
  const server = await startSshServer();
  return {
    open: () => server.open(),
    takeAway: () => renameSync(server.directory, `${server.directory}.gone`),
    isThere: () => existsSync(server.directory),
  };
});

test("the example for sshd gives its account SFTP in a chroot and nothing else, and others what they had", () => {
  const example = fileURLToPath(new URL("../../config/sshd-mailbox.conf", import.meta.url));
  const hostKey = join(temporaryDirectory(), "key");
  generateKey(hostKey);
  const settingsOf = (user: string) =>
    execFileSync(SSHD, ["-T", "-f", example, "-h", hostKey, "-C", `user=${user},host=h,addr=127.0.0.1`], {
      encoding: "utf8",
    }).split("\n");
  const settings = [
    "chrootdirectory /srv/afterimage",
    "forcecommand internal-sftp",
    "authorizedkeysfile /etc/ssh/mailbox-keys/%u",
    "authenticationmethods publickey",
    "disableforwarding yes",
    "permittty no",
  ];
  expect(settingsOf("mirror")).toEqual(expect.arrayContaining(settings));
  for (const setting of settings) expect(settingsOf("somebody")).not.toContain(setting);
});
