/** Mailbox addresses: `file:///dir` for a directory that every member sees, `sftp://user@host:port/dir` for another machine. */
import { posix } from "node:path";
import { fileURLToPath } from "node:url";

interface FileMailbox {
  readonly kind: "file";
  readonly url: string;
  /** The directory, absolute. */
  readonly path: string;
}

interface SftpMailbox {
  readonly kind: "sftp";
  readonly url: string;
  readonly path: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

export type Mailbox = FileMailbox | SftpMailbox;

const SFTP_PORT = 22;

/** An SSH host key's fingerprint, as OpenSSH prints it. */
export const HOST_KEY = /^SHA256:[A-Za-z0-9+/]{43}$/;

/** Returns the reason as text when `address` is not a mailbox address. */
export function parseMailbox(address: string): Mailbox | string {
  const url = URL.parse(address);
  if (url === null) return `${quote(address)} is not a URL: write file:///dir or sftp://user@host:port/dir`;
  if (url.search !== "" || url.hash !== "") return "a mailbox URL has no ? or # part";
  switch (url.protocol) {
    case "file:":
      return parseFile(url);
    case "sftp:":
      return parseSftp(url);
    default:
      return `${quote(url.protocol)} is not supported: write file:///dir or sftp://user@host:port/dir`;
  }
}

function parseFile(url: URL): Mailbox | string {
  if (url.host !== "") return `a file mailbox names no host: write file:///dir with three slashes`;
  const path = directoryOf(() => fileURLToPath(url));
  return path === null
    ? "a file mailbox needs the path of a directory: file:///dir"
    : { kind: "file", url: url.href, path };
}

function parseSftp(url: URL): Mailbox | string {
  // A password in this file would reach every member and every copy of it.
  if (url.password !== "") return "no password in a mailbox URL: members log in with a key (ssh: { identity: ... })";
  if (url.hostname === "") return "an sftp mailbox needs a host: sftp://user@host:port/dir";
  if (url.username === "") return "an sftp mailbox needs a user: sftp://user@host:port/dir";
  const path = directoryOf(() => decodeURIComponent(url.pathname));
  if (path === null) return "an sftp mailbox needs the path of a directory: sftp://user@host:port/dir";
  const user = decodeURIComponent(url.username);
  const port = url.port === "" ? SFTP_PORT : Number(url.port);
  // IPv6 addresses are in brackets in a URL, and nowhere else.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { kind: "sftp", url: url.href, path, host, port, user };
}

/** An absolute directory below the root, without a slash at the end; null when it is none. */
function directoryOf(decode: () => string): string | null {
  let decoded: string;
  try {
    decoded = decode();
  } catch {
    return null;
  }
  const path = posix.normalize(decoded).replace(/\/+$/, "");
  return path.startsWith("/") && !path.includes("\0") ? path : null;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
