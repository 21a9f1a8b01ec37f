import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startSshServer } from "../transport/ssh-server.ts";

const MIB = 1024 * 1024;
const SIZE = 512 * MIB;
const ROUNDS = 3;

function megabytesPerSecond(bytes: number, sinceMs: number): string {
  return (bytes / 1000 / (performance.now() - sinceMs)).toFixed(0);
}

test("512 MiB over the loopback interface, against sftp(1)", async () => {
  const server = await startSshServer();
  const { user, host, port, path } = server.mailbox;
  const local = join(temporaryDirectory(), "large");
  for (let bytes = 0; bytes < SIZE; bytes += 16 * MIB) appendFileSync(local, randomBytes(16 * MIB));
  const transport = server.open();
  await transport.list("");
  const sftp = [
    ["-q", "-b", "-", "-P", String(port), "-i", join(server.keys, "identity")],
    ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", `${user}@${host}`],
  ].flat();
  for (let round = 0; round < ROUNDS; round++) {
    const putAtMs = performance.now();
    await transport.put(local, `put-${round}`);
    const put = megabytesPerSecond(SIZE, putAtMs);
    const sftpAtMs = performance.now();
    execFileSync("sftp", sftp, { input: `put ${local} ${path}/sftp-${round}\n`, stdio: ["pipe", "ignore", "ignore"] });
    console.log(`put ${put} MB/s (synced), sftp ${megabytesPerSecond(SIZE, sftpAtMs)} MB/s (not synced, with login)`);
    for (const name of ["put", "sftp"]) expect(statSync(join(server.directory, `${name}-${round}`)).size).toBe(SIZE);
  }
});
