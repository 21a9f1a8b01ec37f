/** How the place that an operator names is reached. */
import { resolve } from "node:path";
import type { Configuration } from "../config/configuration.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import { TransportError } from "../transport/transport-error.ts";
import { DirectoryFiles } from "./directory-files.ts";
import type { LostFiles } from "./lost-files.ts";
import { rootOf } from "./lost-machine.ts";
import { SftpFiles } from "./sftp-files.ts";

/**
 * The files at `from`, a local directory or an address such as `sftp://user@host:port/directory`, and the directory there.
 * @param own files of this member, which cannot be a lost one's.
 * @throws TransportError URL_INVALID
 */
export function openFiles(
  from: string,
  configuration: Configuration,
  own: readonly string[],
): { files: LostFiles; directory: string } {
  const isUrl = /^[a-z]+:\/\//.test(from);
  const place = isUrl ? parseMailbox(from) : ({ kind: "file", path: resolve(from) } as const);
  if (typeof place === "string") {
    throw new TransportError("URL_INVALID", `not a place that can be looked at: ${from}`, { hint: `${place}.` });
  }
  if (place.kind === "file") {
    const boundary = rootOf(place.path, configuration) ?? place.path;
    return { files: new DirectoryFiles(boundary, own), directory: place.path };
  }
  return {
    files: new SftpFiles({ ...place, hostKey: hostKeyOf(configuration, place) }, configuration.ssh),
    directory: place.path,
  };
}

/** The key that is pinned for this host's mailbox; null for the list of known hosts. */
function hostKeyOf({ members }: Configuration, { host, port }: { host: string; port: number }): string | null {
  for (const { mailbox, hostKey } of members.values()) {
    const known = parseMailbox(mailbox);
    if (typeof known !== "string" && known.kind === "sftp" && known.host === host && known.port === port)
      return hostKey;
  }
  return null;
}
