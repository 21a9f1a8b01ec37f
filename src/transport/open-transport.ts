import { fileURLToPath } from "node:url";
import { DirectoryTransport } from "./directory-transport.ts";
import type { Transport } from "./transport.ts";
import { TransportError } from "./transport-error.ts";

/**
 * The transport to the mailbox that a URL names: `file:///directory`. Nothing is connected or checked before its first use.
 * @throws TransportError URL_INVALID, TRANSPORT_UNSUPPORTED.
 */
export function openTransport(mailboxUrl: string): Transport {
  const url = URL.parse(mailboxUrl);
  if (url === null) throw invalid(mailboxUrl);
  if (url.protocol === "file:") return new DirectoryTransport(directoryOf(url));
  throw new TransportError(
    "TRANSPORT_UNSUPPORTED",
    `mailboxes at ${url.protocol}// cannot be reached by this release`,
    {
      path: withoutPassword(url),
      hint: "Use a file:///directory mailbox.",
    },
  );
}

function directoryOf(url: URL): string {
  if (url.hostname !== "" || url.search !== "" || url.hash !== "") throw invalid(url.href);
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw invalid(url.href, error);
  }
}

/** Error texts go to logs. */
function withoutPassword(url: URL): string {
  const shown = new URL(url);
  if (shown.password !== "") shown.password = "***";
  return shown.href;
}

function invalid(text: string, cause?: unknown): TransportError {
  return new TransportError("URL_INVALID", `not a mailbox URL: ${text.replace(/:[^:@/]*@/, ":***@")}`, {
    cause,
    hint: "Write it as file:///absolute/directory.",
  });
}
