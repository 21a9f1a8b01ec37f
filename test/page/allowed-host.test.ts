import { expect, test } from "vitest";
import { isAllowedHost } from "../../src/page/allowed-host.ts";

const NAMES = ["lisbon.example", "db.example"];

test.each([
  "localhost",
  "localhost:8008",
  "page.localhost",
  "127.0.0.1:8008",
  "192.0.2.7",
  "[::1]:8008",
  "[2001:db8::7]",
  "lisbon.example",
  "LISBON.example.:443",
  "db.example",
])("%s leads here", (host) => {
  expect(isAllowedHost(host, NAMES)).toBe(true);
});

test.each([
  undefined,
  "",
  "evil.example",
  "evil.example:8008",
  "lisbon.example.evil.example",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "evil.example@127.0.0.1",
  "evil.example#@localhost",
  "localhost/evil",
  "localhost\\evil",
  "localhost:port",
])("%s does not", (host) => {
  expect(isAllowedHost(host, NAMES)).toBe(false);
});
