/**
 * The page: a look at the mirror set in a browser, at `/ui/`.
 *
 * Guarantee: it changes nothing. Its files are those of this list, and nothing else of the file system. A browser runs no script
 * that is not among them, shows it in no other site's frame, and a site whose name leads here by a trick gets nothing.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { isAllowedHost } from "./allowed-host.ts";
import type { PageView } from "./page-view.ts";

export interface PageQuery {
  /** Of the charts. */
  readonly spanMs: number;
  /** Of the events: this one, and what is worse. */
  readonly level: "info" | "warn";
}

export interface PageSource {
  /** By which browsers reach it, besides addresses, `localhost` and the name of the machine. */
  readonly names: readonly string[];
  view(query: PageQuery): Promise<PageView>;
}

const PAGE_PATH = "/ui";
const HOUR_MS = 3_600_000;

const HTML = "text/html; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

/** In `page/`, beside `src/` in a checkout and beside `dist/` in a package. */
const FILES: ReadonlyMap<string, string> = new Map([
  ["index.html", HTML],
  ["page.css", STYLE],
  ["parts.css", STYLE],
  ["narrow.css", STYLE],
  ["icon.svg", "image/svg+xml"],
  ...[
    "main.js",
    "dom.js",
    "format.js",
    "charts.js",
    "commands.js",
    "members.js",
    "storage.js",
    "events.js",
    "tables.js",
    "topology.js",
    "topology-layout.js",
  ].map((name): [string, string] => [name, SCRIPT]),
]);
/** One file that needs no other one. */
const CHART_FILE = "chart.umd.min.js";

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** Adds the page's paths to the server. */
export function servePage(app: FastifyInstance, source: PageSource): void {
  const names = [...source.names, hostname()];
  const get = (url: string, handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>) =>
    app.route({
      ...{ url: `${PAGE_PATH}${url}`, method: ["GET", "HEAD"], handler },
      onRequest: async (request, reply) => {
        reply.headers(HEADERS);
        if (isAllowedHost(request.headers.host, names)) return;
        const reason = "this name is not known to lead here: add it to `names` in `http`";
        await reply.code(421).send({ reason });
      },
    });
  // Relative addresses in the page are right only below `/ui/`, also behind a proxy that adds a path.
  get("", async ({ url }, reply) => {
    if (url.split("?", 1)[0] === PAGE_PATH) return await reply.redirect(`.${PAGE_PATH}/`, 308);
    return await reply.type(HTML).send(await readFile(pageFile("index.html")));
  });
  for (const [name, type] of FILES)
    get(`/${name}`, async (_, reply) => await reply.type(type).send(await readFile(pageFile(name))));
  get(`/${CHART_FILE}`, async (_, reply) => await reply.type(SCRIPT).send(await readFile(chartFile())));
  get("/view.json", async ({ query }, reply) => {
    const asked = parseQuery(query);
    if (typeof asked === "string") return await reply.code(400).send({ reason: asked });
    return await reply.type("application/json; charset=utf-8").send(JSON.stringify(await source.view(asked)));
  });
}

function pageFile(name: string): URL {
  return new URL(`../../page/${name}`, import.meta.url);
}

/** Of the library, as it is installed. */
function chartFile(): string {
  return join(dirname(createRequire(import.meta.url).resolve("chart.js")), CHART_FILE);
}

/** The query, or one sentence about what is wrong with it. */
function parseQuery(query: unknown): PageQuery | string {
  const { hours = "1", level = "info" } = Object.fromEntries(Object.entries(query ?? {}));
  if (hours !== "1" && hours !== "6") return "hours is 1 or 6";
  if (level !== "info" && level !== "warn") return "level is info or warn";
  return { spanMs: Number(hours) * HOUR_MS, level };
}
