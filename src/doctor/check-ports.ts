/** What the daemon listens on: the ports of `http` and `listen`, and the certificate for HTTP. */
import { X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { errnoOf, messageOf } from "../errno.ts";
import { loadCertificate } from "../http/tls-certificate.ts";
import { type CheckResult, failed, failure, ok, warning } from "../member/check-result.ts";
import { connectControl } from "../member/control-client.ts";
import type { Subject } from "./subject.ts";

const CONNECT_MS = 3_000;
const DAY_MS = 86_400_000;
/** Certificates are renewed a month before they end, mostly. */
const EXPIRES_SOON_DAYS = 14;
const READABLE_BY_ALL = 0o004;

interface Address {
  readonly address: string;
  readonly port: number;
}

export async function checkPorts({ member }: Subject): Promise<CheckResult[]> {
  const { http, listen, state } = member;
  if (http === null && listen === null) return [];
  const runs = (await connectControl(join(state, "control.sock"))) !== null;
  return [
    ...(listen === null ? [] : [await checkPort("SFTP port", listen, runs)]),
    ...(http === null ? [] : [await checkPort("HTTP port", http, runs)]),
    ...(http?.tls == null ? [] : [checkCertificate(http.tls, Date.now())]),
  ];
}

/** With a daemon it must answer; without one it must be free. */
async function checkPort(check: string, { address, port }: Address, runs: boolean): Promise<CheckResult> {
  const place = `${address}:${port}`;
  if (port === 0) return ok(check, "whichever is free");
  const fault = runs ? await connectFault({ address, port }) : await listenFault({ address, port });
  if (fault === null) return ok(check, runs ? `${place} is listened on` : `${place} is free`);
  if (runs) return failure(check, `the daemon runs, and ${place} does not answer (${fault})`, "Look into its log.");
  return failure(check, `${place} cannot be listened on (${fault})`, HINTS[fault] ?? "Name another address or port.");
}

const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "Another program has it (`ss -ltnp` says which): end that one, or name another port.",
  EACCES: "Ports below 1024 are root's: name a higher one, or give the unit CAP_NET_BIND_SERVICE.",
  EADDRNOTAVAIL: "This machine does not have the address: name one that `ip address` shows.",
};

/** The system's code for why nobody can listen there; null when one can. */
async function listenFault({ address, port }: Address): Promise<string | null> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, address, resolve));
    await new Promise((resolve) => server.close(resolve));
    return null;
  } catch (error) {
    return errnoOf(error) ?? messageOf(error);
  }
}

/** The system's code for why nobody answers; null when somebody does. */
async function connectFault({ address, port }: Address): Promise<string | null> {
  const socket = connect({ port, host: address, timeout: CONNECT_MS });
  try {
    await new Promise<void>((resolve, reject) => {
      const tooLate = () => reject(new Error(`nothing within ${CONNECT_MS / 1000} s`));
      socket.once("connect", resolve).once("error", reject).once("timeout", tooLate);
    });
    return null;
  } catch (error) {
    return errnoOf(error) ?? messageOf(error);
  } finally {
    socket.destroy();
  }
}

/** @param nowMs milliseconds since 1970. */
export function checkCertificate(
  files: { readonly certificate: string; readonly key: string },
  nowMs: number,
): CheckResult {
  const check = "HTTP certificate";
  const hint = "Renew it: the daemon takes a new one up within a minute.";
  try {
    const { cert } = loadCertificate(files);
    const endsMs = Date.parse(new X509Certificate(cert).validTo);
    const until = new Date(endsMs).toISOString();
    if ((statSync(files.key).mode & READABLE_BY_ALL) !== 0) {
      const message = `every user of this machine may read its private key ${files.key}`;
      return failure(check, message, `Run \`chmod o-r ${files.key}\`; whoever has read it can pose as this member.`);
    }
    if (endsMs < nowMs) return failure(check, `it was valid until ${until}`, hint);
    if (endsMs < nowMs + EXPIRES_SOON_DAYS * DAY_MS) return warning(check, `it is valid until ${until} only`, hint);
    return ok(check, `valid until ${until}`);
  } catch (error) {
    return failed(check, error);
  }
}
