/**
 * Which `Host` headers the page answers to. A web site can have its own name lead to this machine (DNS rebinding) and would then
 * be taken by a browser for what is here; it cannot do that with an address, nor with a name that it does not own.
 */
import { isIP } from "node:net";

/** @param names that lead here, besides `localhost`; in any case. */
export function isAllowedHost(header: string | undefined, names: Iterable<string>): boolean {
  // `http://` without anything that a Host header cannot have, or the parser would take a part of it for something else.
  if (header === undefined || !/^[\w.:[\]-]+$/.test(header)) return false;
  const url = URL.parse(`http://${header}`);
  if (url === null) return false;
  const host = url.hostname.toLowerCase().replace(/\.$/, "");
  if (isIP(host.replace(/^\[|\]$/g, "")) !== 0) return true;
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  return [...names].some((name) => name.toLowerCase() === host);
}
