/** The files of a lost machine that still answers by SFTP: read only, from the root of what its server shows. */
import { posix } from "node:path";
import type { SshConfiguration } from "../config/configuration.ts";
import { SftpTransport } from "../transport/sftp-transport.ts";
import type { SshTarget } from "../transport/ssh-connection.ts";
import type { Transport, TransportEntry } from "../transport/transport.ts";
import { TransportError } from "../transport/transport-error.ts";
import type { FileStamp, LostEntry, LostFiles } from "./lost-files.ts";
import { SalvageError } from "./salvage-error.ts";

export class SftpFiles implements LostFiles {
  readonly #transport: Pick<Transport, "list" | "get" | "close">;

  constructor(target: SshTarget, ssh: SshConfiguration) {
    this.#transport = new SftpTransport({ ...target, path: "/", bandwidth: null }, ssh);
  }

  async list(directory: string): Promise<LostEntry[]> {
    return await this.#entries(directory);
  }

  async stat(path: string): Promise<FileStamp | null> {
    const entries = await this.#entries(posix.dirname(path));
    const found = entries.find(({ kind, name }) => kind === "file" && name === posix.basename(path));
    return found === undefined ? null : { size: found.size, mtimeMs: found.mtimeMs };
  }

  async copy(path: string, localPath: string): Promise<boolean> {
    return await allowed(path, async () => (await this.#transport.get(nameOf(path), localPath)) !== null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport.close();
  }

  async #entries(directory: string): Promise<TransportEntry[]> {
    return await allowed(directory, () => this.#transport.list(nameOf(directory)));
  }
}

async function allowed<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const refused = error instanceof TransportError && /^TARGET_(DENIED|FAILED)$|^NAME_INVALID$/.test(error.code);
    if (!refused) throw error;
    throw new SalvageError("SALVAGE_UNREADABLE", `the server does not let this account read it: ${error.message}`, {
      path,
      cause: error,
      hint: "An account for mailboxes sees nothing else: log in as one that may read the state directory and the databases.",
    });
  }
}

/** The transport's names are relative to its directory, here the root. */
function nameOf(path: string): string {
  return posix.relative("/", path);
}
