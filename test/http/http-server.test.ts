import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { request as tlsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import type { HttpConfiguration } from "../../src/config/configuration.ts";
import { freePorts } from "../../src/demo/free-ports.ts";
import type { HealthFacts } from "../../src/http/health-source.ts";
import { type HttpServer, startHttpServer } from "../../src/http/http-server.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { mirrorFacts, operationalFacts } from "./health-facts.ts";

interface Started {
  readonly server: HttpServer;
  readonly url: string;
}

async function start(facts: HealthFacts, options: Partial<HttpConfiguration> = {}): Promise<Started> {
  const [port = 0] = await freePorts(1);
  const http = { address: "127.0.0.1", port, tls: null, page: false, names: [], ...options };
  const down = { ...facts.status, member: "faro", reachable: false, state: "down" as const };
  const source = {
    health: () => facts,
    members: () => [facts.status, down],
    metrics: async ({ databases }: { readonly databases: string }) => `# ${databases}\n`,
  };
  const server = await startHttpServer({
    http,
    source,
    page: null,
    version: "1.2.3",
    logger: pino({ level: "silent" }),
  });
  onTestFinished(() => server.close());
  return { server, url: `http://127.0.0.1:${port}` };
}

/** A connection on which `bytes` were sent. */
async function sent(port: number, bytes: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  // That the server drops it is what some tests wait for.
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(bytes);
  return socket;
}

test("GET, HEAD and OPTIONS have the same status code, and only GET a body", async () => {
  for (const [facts, status] of [
    [operationalFacts(), 200],
    [mirrorFacts(), 503],
  ] as const) {
    const { url } = await start(facts);
    const got = await fetch(`${url}/primary`);
    expect([got.status, got.headers.get("cache-control")]).toEqual([status, "no-store"]);
    expect(await got.json()).toEqual({
      state: facts.status.state,
      role: status === 200 ? "primary" : "replica",
      timeline: 3,
      reason: status === 200 ? null : "porto is a mirror",
      lag_transactions: 0,
      lag_seconds: 0,
      stale_seconds: 1,
      afterimage: { version: "1.2.3", scope: "clinic", name: "porto" },
    });
    for (const method of ["HEAD", "OPTIONS"]) {
      const answer = await fetch(`${url}/primary`, { method });
      expect([answer.status, await answer.text()]).toEqual([status, ""]);
    }
  }
});

test("/cluster has one leader, by the newest epoch, and no lag of a member that is down", async () => {
  const { url } = await start(mirrorFacts());
  const known = { type: "failover", follows: "lisbon", timeline: 3 };
  expect(await (await fetch(`${url}/cluster`)).json()).toEqual({
    scope: "clinic",
    members: [
      {
        name: "porto",
        role: "replica",
        state: "connected",
        ...known,
        lag_transactions: 0,
        lag_seconds: 0,
        stale_seconds: 1,
      },
      {
        name: "faro",
        role: "replica",
        state: "down",
        ...known,
        lag_transactions: null,
        lag_seconds: null,
        stale_seconds: null,
      },
    ],
  });
});

test("/history has a row for each epoch", async () => {
  const { url } = await start(mirrorFacts());
  expect(await (await fetch(`${url}/history`)).json()).toEqual([
    [1, {}, "initial", "2026-01-01T00:00:00.000Z", "porto"],
    [3, { shop: "1:0000000000000010:8000000000000000" }, "promotion", "2026-02-01T00:00:00.000Z", "lisbon"],
  ]);
});

test("/metrics is in the format of Prometheus, with or without each database", async () => {
  const { url } = await start(mirrorFacts());
  const all = await fetch(`${url}/metrics`);
  expect([all.status, all.headers.get("content-type"), await all.text()]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
    "# each\n",
  ]);
  expect(await (await fetch(`${url}/metrics?databases=none`)).text()).toBe("# none\n");
  expect((await fetch(`${url}/metrics?databases=some`)).status).toBe(400);
});

test.each([
  ["/replica?lag=10MB", 400],
  ["/primary?database=other", 404],
  ["/nothing", 404],
  ["/replica/?lag=10s", 200],
])("%s is answered with %i", async (path, status) => {
  const { url } = await start(mirrorFacts());
  expect((await fetch(`${url}${path}`)).status).toBe(status);
});

test.each(["POST", "PUT", "PATCH", "DELETE"])("%s is refused: nothing can be changed", async (method) => {
  const { url } = await start(mirrorFacts());
  for (const path of ["/", "/reload", "/switchover"]) {
    const answer = await fetch(`${url}${path}`, { method });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
  }
});

test.each([
  ["a length", "Content-Length: 1000000000"],
  ["no length", "Transfer-Encoding: chunked"],
])("a request with a body of %s is refused before the body comes, and its connection ends", async (_, header) => {
  const { server } = await start(mirrorFacts());
  const socket = await sent(server.port, `GET /primary HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`);
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close/i);
});

test("headers that never end are not waited for, and long ones are not kept", async () => {
  const { server } = await start(mirrorFacts());
  const slow = await sent(server.port, "GET /primary HTTP/1.1\r\nHost: x\r\n");
  const long = await sent(server.port, `GET /primary HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(9000)}\r\n\r\n`);
  expect(await text(long)).toMatch(/^HTTP\/1\.1 431 /);
  expect(await text(slow)).toMatch(/^HTTP\/1\.1 408 /);
});

test("more connections than there may be are dropped, and those that end make room", async () => {
  const { server, url } = await start(mirrorFacts());
  const held = [];
  for (let i = 0; i < 128; i++) held.push(await sent(server.port, ""));
  const late = await sent(server.port, "GET /replica HTTP/1.0\r\n\r\n");
  expect(await text(late).catch(() => "")).toBe("");
  for (const socket of held) socket.destroy();
  await expect.poll(async () => (await fetch(`${url}/replica`).catch(() => null))?.status).toBe(200);
});

test("closing ends connections that are kept open", async () => {
  const { server } = await start(mirrorFacts());
  const socket = await sent(server.port, "GET /replica HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(socket, "data");
  const rest = text(socket);
  await server.close();
  expect(await rest).toBe("");
});

test("a port that is taken is an error that says so", async () => {
  const { server } = await start(mirrorFacts());
  await expect(start(mirrorFacts(), { port: server.port })).rejects.toMatchObject({
    code: "HTTP_LISTEN_FAILED",
    hint: expect.stringMatching(/port/),
  });
});

/** A key and a certificate that it has signed itself. */
function makeCertificate(directory: string, name: string): { certificate: string; key: string } {
  const [certificate, key] = [join(directory, `${name}.pem`), join(directory, `${name}.key`)];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  execFileSync("openssl", ["req", "-x509", ...curve, "-nodes", ...subject, "-keyout", key, "-out", certificate], {
    stdio: "pipe",
  });
  return { certificate, key };
}

/** The status code, and the common name in the certificate that the server showed. */
async function askByTls(port: number, ca: string): Promise<[number | undefined, unknown]> {
  const asked = tlsRequest({ host: "127.0.0.1", port, path: "/replica", ca, agent: false }).end();
  const [answer] = await once(asked, "response");
  const { subject } = (answer.socket as TLSSocket).getPeerCertificate();
  answer.resume();
  return [answer.statusCode, subject.CN];
}

test("with a certificate it is HTTPS alone, and a renewed one is taken up", async () => {
  const directory = temporaryDirectory();
  const tls = makeCertificate(directory, "first");
  const second = makeCertificate(directory, "second");
  const { server, url } = await start(mirrorFacts(), { tls });
  expect(await askByTls(server.port, readFileSync(tls.certificate, "utf8"))).toEqual([200, "first"]);
  await expect(fetch(`${url}/replica`)).rejects.toThrow();

  writeFileSync(tls.certificate, "half a certif");
  server.renewCertificate();
  writeFileSync(tls.key, readFileSync(second.key));
  cpSync(second.certificate, tls.certificate);
  server.renewCertificate();
  expect(await askByTls(server.port, readFileSync(second.certificate, "utf8"))).toEqual([200, "second"]);
});

test("a certificate that cannot be used is an error that names it", async () => {
  const directory = temporaryDirectory();
  const { certificate } = makeCertificate(directory, "first");
  const { key } = makeCertificate(directory, "second");
  await expect(start(mirrorFacts(), { tls: { certificate, key } })).rejects.toMatchObject({
    code: "HTTP_TLS_INVALID",
    path: certificate,
  });
  await expect(start(mirrorFacts(), { tls: { certificate: join(directory, "none"), key } })).rejects.toMatchObject({
    code: "HTTP_TLS_INVALID",
  });
});
