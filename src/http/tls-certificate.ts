/** The certificate of the HTTP server, and its renewal while the daemon runs. */
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import { Server as TlsServer } from "node:https";
import { createSecureContext } from "node:tls";
import type { Logger } from "pino";
import { messageOf } from "../errno.ts";
import { HttpError } from "./http-error.ts";

/** Certificates are renewed days before they end. */
const LOOK_INTERVAL_MS = 60_000;

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** @throws HttpError HTTP_TLS_INVALID when they cannot be read, or do not belong together. */
export function loadCertificate(files: CertificateFiles): Certificate {
  try {
    const loaded = { cert: readFileSync(files.certificate), key: readFileSync(files.key) };
    createSecureContext(loaded);
    return loaded;
  } catch (error) {
    throw new HttpError("HTTP_TLS_INVALID", `the certificate for HTTP cannot be used: ${messageOf(error)}`, {
      path: files.certificate,
      hint: "`tls` in `http` names PEM files of a certificate, with its chain, and of its key; the daemon must be able to read them.",
      cause: error,
    });
  }
}

/** Takes up a certificate that was replaced. One that cannot be used is left, and the former one goes on. */
export function watchCertificate(
  files: CertificateFiles,
  { server, logger }: { readonly server: Server; readonly logger: Logger },
): { look(): void; stop(): void } {
  let known = contentsOf(files);
  const look = () => {
    const now = contentsOf(files);
    if (now === known) return;
    known = now;
    try {
      if (server instanceof TlsServer) server.setSecureContext({ ...loadCertificate(files) });
      logger.info({ path: files.certificate }, "the certificate for HTTP was renewed");
    } catch (error) {
      logger.error({ err: error, path: files.certificate }, "the new certificate for HTTP cannot be used");
    }
  };
  const timer = setInterval(look, LOOK_INTERVAL_MS);
  timer.unref();
  return { look, stop: () => clearInterval(timer) };
}

/** Null when they cannot be read. */
function contentsOf({ certificate, key }: CertificateFiles): string | null {
  try {
    return `${readFileSync(certificate, "latin1")}\0${readFileSync(key, "latin1")}`;
  } catch {
    return null;
  }
}
