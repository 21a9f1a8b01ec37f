/** The keys of health endpoints and metrics over HTTP. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type HttpConfiguration, selectMember } from "../../src/config/configuration.ts";
import { checkConfiguration, loadConfiguration } from "../../src/config/load-configuration.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function write(http: string): string {
  const path = join(temporaryDirectory(), "afterimage.yaml");
  writeFileSync(
    path,
    `mirror: clinic
operational: lisbon
members:
  lisbon:
    mailbox: file:///m/lisbon
    state: /s/lisbon
    databases: { patients: /d/lisbon.db }
    http: ${http}
`,
  );
  return path;
}

function load(http: string): HttpConfiguration | null {
  return selectMember(loadConfiguration(write(http), { home: "/home/op" }), "lisbon").http;
}

const faultsOf = (http: string) => checkConfiguration(write(http)).map(({ code, path }) => `${code} ${path}`);

test("an empty section takes Patroni's port on the loopback address", () => {
  expect(load("{}")).toEqual({ address: "127.0.0.1", port: 8008, tls: null, page: true, names: [] });
});

test("an address, a port and a certificate are read", () => {
  expect(load('{ address: "::", port: 443, tls: { certificate: ~/tls.pem, key: /k.pem } }')).toEqual({
    address: "::",
    port: 443,
    tls: { certificate: "/home/op/tls.pem", key: "/k.pem" },
    page: false,
    names: [],
  });
});

test("the page is there where only this machine sees it, and elsewhere when it is asked for", () => {
  const elsewhere = { address: "10.0.0.7", allowPlain: true };
  expect(load("{ page: false }")?.page).toBe(false);
  expect(load(JSON.stringify(elsewhere))?.page).toBe(false);
  expect(load(JSON.stringify({ ...elsewhere, page: true, names: ["db.example"] }))).toMatchObject({
    page: true,
    names: ["db.example"],
  });
});

test.each(["127.0.0.1", "127.8.0.1", "::1", "localhost"])("plain HTTP on %s needs no consent", (address) => {
  expect(faultsOf(`{ address: "${address}" }`)).toEqual([]);
});

test.each(["0.0.0.0", "::", "10.0.0.7", "lisbon.example"])(
  "plain HTTP on %s needs TLS, or somebody's consent",
  (address) => {
    expect(faultsOf(`{ address: "${address}" }`)).toEqual(["HTTP_EXPOSED members.lisbon.http"]);
    expect(faultsOf(`{ address: "${address}", tls: { certificate: /c.pem, key: /k.pem } }`)).toEqual([]);
    expect(faultsOf(`{ address: "${address}", allowPlain: true }`)).toEqual([]);
  },
);

test.each([
  ["a key that is misspelt", "{ adress: 127.0.0.1 }", "KEY_UNKNOWN members.lisbon.http.adress"],
  ["a port that there is not", "{ port: 65536 }", "VALUE_INVALID members.lisbon.http.port"],
  ["a certificate without its key", "{ tls: { certificate: /c.pem } }", "KEY_MISSING members.lisbon.http.tls.key"],
  [
    "a key that is none of a certificate's",
    "{ tls: { cert: /c.pem, key: /k.pem } }",
    "KEY_UNKNOWN members.lisbon.http.tls.cert",
  ],
  [
    "a path that begins nowhere",
    "{ tls: { certificate: c.pem, key: /k.pem } }",
    "PATH_NOT_ABSOLUTE members.lisbon.http.tls.certificate",
  ],
])("%s is a fault", (_, http, fault) => {
  expect(faultsOf(http)).toContain(fault);
});
