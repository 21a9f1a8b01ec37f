/** What the page's server lets out, and to whom. */
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import { freePorts } from "../../src/demo/free-ports.ts";
import { startHttpServer } from "../../src/http/http-server.ts";
import { buildPageView } from "../../src/page/build-page-view.ts";
import { PageSamples } from "../../src/page/page-samples.ts";
import type { PageQuery } from "../../src/page/serve-page.ts";
import { mirrorFacts } from "../http/health-facts.ts";
import { known, lisbonOf, pageFacts, statusOf } from "./page-facts.ts";

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

function view({ spanMs }: PageQuery) {
  const self = statusOf();
  const history = new PageSamples("porto").history(["porto"], spanMs, 0);
  return buildPageView({ ...pageFacts(self, [known(lisbonOf()), known(self)]), history });
}

async function start(
  hasPage = true,
): Promise<(path: string, options?: { host?: string; method?: string }) => Promise<Answer>> {
  const [port = 0] = await freePorts(1);
  const { status } = mirrorFacts();
  const source = { health: () => mirrorFacts(), members: () => [status], metrics: async () => "" };
  const server = await startHttpServer({
    http: { address: "127.0.0.1", port, tls: null, page: hasPage, names: [] },
    ...{ source, version: "1.2.3", logger: pino({ level: "silent" }) },
    page: hasPage ? { names: ["db.example"], view: async (query) => view(query) } : null,
  });
  onTestFinished(() => server.close());
  return (path, { host = `127.0.0.1:${port}`, method = "GET" } = {}) =>
    new Promise((resolve, reject) => {
      const asked = request({ port, path, method, headers: { host } }, (response) => {
        text(response).then(
          (body) => resolve({ status: response.statusCode, headers: response.headers, body }),
          reject,
        );
      });
      asked.on("error", reject).end();
    });
}

test("every file that the page names is there, of its kind, and allows nothing but what is served with it", async () => {
  const ask = await start();
  const page = await ask("/ui/");
  const names = [...page.body.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, name = ""]) => name);
  expect(names).toEqual(expect.arrayContaining(["page.css", "main.js", "chart.umd.min.js", "icon.svg"]));
  const seen = new Set(names);
  for (const name of seen) {
    const file = await ask(`/ui/${name}`);
    expect([name, file.status, file.headers["x-content-type-options"]]).toEqual([name, 200, "nosniff"]);
    expect(file.headers["content-type"]).toMatch(
      name.endsWith(".js") ? /^text\/javascript/ : name.endsWith(".css") ? /^text\/css/ : /^image\/svg\+xml$/,
    );
    for (const [, imported = ""] of file.body.matchAll(/from "\.\/([\w.-]+)"/g)) seen.add(imported);
  }
  expect(seen.size).toBeGreaterThan(10);
  const policy = String(page.headers["content-security-policy"]);
  expect(policy).toMatch(/default-src 'none'/);
  expect(policy).toMatch(/frame-ancestors 'none'/);
  expect(policy).not.toMatch(/unsafe|\*|data:/);
  expect(page.headers).toMatchObject({ "referrer-policy": "no-referrer", "x-frame-options": "DENY" });
  expect(page.body).not.toMatch(/<script>|style="|\son\w+="/);
});

test("a name that is not known to lead here gets neither the page nor what it shows", async () => {
  const ask = await start();
  for (const path of ["/ui/", "/ui/view.json", "/ui/main.js"]) {
    const refused = await ask(path, { host: "evil.example:8008" });
    expect([refused.status, refused.body]).toEqual([421, expect.not.stringMatching(/lisbon|import/)]);
    expect((await ask(path, { host: "db.example" })).status).toBe(200);
  }
  // A load balancer names its service as it likes.
  expect((await ask("/replica", { host: "evil.example" })).status).toBe(200);
});

test("the view is JSON, for one hour or six, and nothing else is understood", async () => {
  const ask = await start();
  const { body, headers } = await ask("/ui/view.json?hours=6&level=warn");
  expect(headers["content-type"]).toBe("application/json; charset=utf-8");
  expect(headers["cache-control"]).toBe("no-store");
  expect(JSON.parse(body)).toMatchObject({
    answeredBy: "porto",
    history: { stepMs: 60_000 },
    segments: { segments: 3 },
  });
  for (const query of ["hours=7", "hours=1&hours=6", "level=error"])
    expect((await ask(`/ui/view.json?${query}`)).status).toBe(400);
});

test("the page without its slash leads to it, and nothing else of the file system is there", async () => {
  const ask = await start();
  const { status, headers } = await ask("/ui");
  expect([status, headers.location]).toEqual([308, "./ui/"]);
  for (const path of [
    "/ui/tsconfig.json",
    "/ui/../package.json",
    "/ui/%2e%2e/package.json",
    "/ui/..%2fpackage.json",
    "/ui/x",
  ])
    expect([path, (await ask(path)).status]).toEqual([path, 404]);
});

test.each(["POST", "PUT", "DELETE", "PATCH"])("%s is refused", async (method) => {
  const ask = await start();
  expect((await ask("/ui/view.json", { method })).status).toBe(405);
});

test("without the page there is nothing at its paths", async () => {
  const ask = await start(false);
  for (const path of ["/ui", "/ui/", "/ui/view.json"]) expect((await ask(path)).status).toBe(404);
});
