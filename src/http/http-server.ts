/**
 * The HTTP server inside a member's daemon: health checks as Patroni answers them, the mirror set, its history, metrics, and the page.
 *
 * Guarantee: nothing that is asked changes anything, so nothing asks for a login. Requests have no body, a client that does not
 * get on is dropped, and there are never many of them; what an answer costs is the source's to bound.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerOptions } from "node:http";
import { createServer as createTlsServer } from "node:https";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { HttpConfiguration } from "../config/configuration.ts";
import { errnoOf, messageOf } from "../errno.ts";
import { METRICS_CONTENT_TYPE } from "../metrics/member-metrics.ts";
import { type PageSource, servePage } from "../page/serve-page.ts";
import { clusterAnswer, healthAnswer, historyAnswer } from "./cluster-view.ts";
import { HEALTH_CHECKS } from "./health-checks.ts";
import { parseHealthQuery } from "./health-query.ts";
import type { HealthSource } from "./health-source.ts";
import { HttpError } from "./http-error.ts";
import { type Certificate, loadCertificate, watchCertificate } from "./tls-certificate.ts";

/** Load balancers and Prometheus keep a few. */
const MAX_CONNECTIONS = 128;
const METHODS = ["GET", "HEAD", "OPTIONS"];
const LIMITS: ServerOptions = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
};
const HANDSHAKE_TIMEOUT_MS = 5_000;

export interface HttpServerOptions {
  readonly http: HttpConfiguration;
  /** Of this program. */
  readonly version: string;
  readonly source: HealthSource;
  /** Null: there is no page. */
  readonly page: PageSource | null;
  readonly logger: Logger;
}

export interface HttpServer {
  readonly port: number;
  /** Takes up a certificate that was replaced, which is otherwise noticed within a minute. */
  renewCertificate(): void;
  /** Drops every connection. */
  close(): Promise<void>;
}

/** Answers until closed. A certificate that is renewed is taken up. @throws HttpError. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { http, logger } = options;
  const certificate = http.tls === null ? null : loadCertificate(http.tls);
  const app = createApp(options, certificate);
  await app.ready();
  const { server } = app;
  server.maxConnections = MAX_CONNECTIONS;
  try {
    server.listen({ host: http.address, port: http.port });
    await once(server, "listening");
  } catch (error) {
    await app.close();
    throw new HttpError(
      "HTTP_LISTEN_FAILED",
      `cannot listen on ${http.address}:${http.port} for HTTP: ${messageOf(error)}`,
      {
        hint:
          errnoOf(error) === "EADDRINUSE"
            ? "Another program has this port: choose another one in `http`."
            : "Check `address` and `port` in `http`.",
        cause: error,
      },
    );
  }
  server.on("error", (error) => logger.error({ err: error }, "the HTTP server cannot take connections"));
  const watch = http.tls === null ? null : watchCertificate(http.tls, { server, logger });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : http.port;
  logger.info({ address: http.address, port, tls: http.tls !== null }, "health and metrics can be asked for by HTTP");
  return {
    port,
    renewCertificate: () => watch?.look(),
    async close() {
      watch?.stop();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      await app.close();
    },
  };
}

function createApp({ source, version, page }: HttpServerOptions, certificate: Certificate | null): FastifyInstance {
  const app = fastify({
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true },
    serverFactory: (handler) =>
      certificate === null
        ? createServer(LIMITS, handler)
        : createTlsServer({ ...LIMITS, ...certificate, handshakeTimeout: HANDSHAKE_TIMEOUT_MS }, handler),
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.header("cache-control", "no-store");
    if (hasBody(request.raw)) await refuse(reply.header("connection", "close"), 413, "a request has no body here");
  });
  for (const [path, check] of HEALTH_CHECKS) {
    answer(app, path, async (request, reply) => {
      const query = parseHealthQuery(request.query);
      if (typeof query === "string") return await refuse(reply, 400, query);
      const facts = source.health();
      const { database } = query;
      if (database !== null && facts.status.databases[database] === undefined)
        return await refuse(reply, 404, `there is no database ${database} here`);
      const reason = check(facts, query);
      return await send(reply.code(reason === null ? 200 : 503), healthAnswer(facts, version, reason));
    });
  }
  answer(app, "/cluster", async (_request, reply) => {
    const { status } = source.health();
    return await send(reply, clusterAnswer(status, source.members()));
  });
  answer(app, "/history", async (_request, reply) => await send(reply, historyAnswer(source.health().status.history)));
  answer(app, "/metrics", async (request, reply) => {
    const { databases = "each" } = request.query;
    if (databases !== "each" && databases !== "none") return await refuse(reply, 400, "databases is each or none");
    return await reply.type(METRICS_CONTENT_TYPE).send(await source.metrics({ databases }));
  });
  if (page !== null) servePage(app, page);
  app.setNotFoundHandler(async (request, reply) => {
    if (METHODS.includes(request.method)) return await refuse(reply, 404, "there is nothing at this path");
    return await refuse(reply.header("allow", METHODS.join(", ")), 405, "nothing can be changed here");
  });
  // What went wrong is nobody else's business.
  app.setErrorHandler(async (_error, _request, reply) => await refuse(reply, 500, "the daemon has failed to answer"));
  return app;
}

type Request = FastifyRequest<{ Querystring: Readonly<Record<string, unknown>> }>;

/** HEAD and OPTIONS are answered as GET is, without a body: load balancers ask for nothing but the status code. */
function answer(
  app: FastifyInstance,
  url: string,
  handler: (request: Request, reply: FastifyReply) => Promise<unknown>,
): void {
  app.route({ url, method: METHODS, handler });
}

async function send(reply: FastifyReply, body: object): Promise<unknown> {
  if (reply.request.method === "OPTIONS") return await reply.send();
  return await reply.type("application/json; charset=utf-8").send(`${JSON.stringify(body)}\n`);
}

async function refuse(reply: FastifyReply, status: 400 | 404 | 405 | 413 | 500, reason: string): Promise<unknown> {
  return await send(reply.code(status), { reason });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
