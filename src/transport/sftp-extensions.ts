/** Which of OpenSSH's extensions a server has, of those that this program uses. */
import { posix } from "node:path";
import { uniquePartPath } from "../durable-files.ts";
import type { SftpSession } from "./sftp-session.ts";
import { statusOf } from "./sftp-status.ts";

/** A handle that no server has given: as a number, which it is to OpenSSH, it is too large, and it is text, as ours are. */
const NO_HANDLE = Buffer.from("none");

/**
 * Asks for each of them with a file or handle that does not exist: a server that knows the extension answers that, and
 * nothing is changed on any.
 * @param root the mailbox.
 * @returns the names of those that are missing.
 */
export async function missingExtensions(session: SftpSession, root: string): Promise<string[]> {
  const name = posix.join(root, "inbox", "doctor");
  const part = uniquePartPath(name);
  const probes: readonly (readonly [string, () => Promise<boolean>])[] = [
    ["fsync@openssh.com", () => known(() => session.fsync(NO_HANDLE))],
    ["hardlink@openssh.com", () => known(() => session.hardlink(part, name))],
    ["posix-rename@openssh.com", () => known(() => session.posixRename(part, name))],
    ["statvfs@openssh.com", async () => (await session.space(root)) !== null],
  ];
  const missing: string[] = [];
  for (const [extension, has] of probes) if (!(await has())) missing.push(extension);
  return missing;
}

/** False when the server says, by its error or by the request's own result, that it does not know the request. */
async function known(request: () => Promise<unknown>): Promise<boolean> {
  try {
    return (await request()) !== false;
  } catch (error) {
    const status = statusOf(error);
    if (status === null) throw error;
    return status !== "unsupported";
  }
}
