/** The keys that mailboxes behind SFTP need. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { selectMember } from "../../src/config/configuration.ts";
import { checkConfiguration, loadConfiguration } from "../../src/config/load-configuration.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const FINGERPRINT = `SHA256:${"x".repeat(43)}`;

function write(porto: string, rest = ""): string {
  const path = join(temporaryDirectory(), "afterimage.yaml");
  const text = `mirror: clinic
operational: lisbon
members:
  lisbon: { mailbox: file:///m/lisbon, state: /s/lisbon, databases: { patients: /d/lisbon.db } }
  porto:
    state: /s/porto
    databases: { patients: /d/porto.db }
    ${porto}
${rest}`;
  writeFileSync(path, text);
  return path;
}

const faultsOf = (porto: string, rest?: string) =>
  checkConfiguration(write(porto, rest)).map(({ code, path }) => `${code} ${path}`);

const SFTP = `mailbox: sftp://u@porto:2022/m, hostKey: ${FINGERPRINT}`.replace(", ", "\n    ");

test("an endpoint, a bandwidth and a login are read with their units and defaults", () => {
  const porto = `${SFTP}\n    bandwidth: 10MiB\n    listen: { authorizedKeysFile: ~/keys }`;
  const rest = "ssh: { identity: /k, passphraseFile: ~/p, passphraseVariable: P, knownHosts: ~/.ssh/known_hosts }\n";
  const configuration = loadConfiguration(write(porto, rest), { home: "/home/op" });
  expect(configuration.ssh).toEqual({
    identity: "/k",
    passphraseFile: "/home/op/p",
    passphraseVariable: "P",
    knownHosts: "/home/op/.ssh/known_hosts",
  });
  expect(selectMember(configuration, "porto")).toMatchObject({
    bandwidth: 10 * 1024 * 1024,
    listen: {
      address: "0.0.0.0",
      port: 2022,
      hostKey: null,
      authorizedKeys: [],
      authorizedKeysFile: "/home/op/keys",
    },
  });
});

test("a list of known hosts stands in for a host key", () => {
  const porto = "mailbox: sftp://u@porto:2022/m";
  expect(faultsOf(porto)).toEqual(["HOST_KEY_MISSING members.porto.mailbox"]);
  expect(faultsOf(porto, "ssh: { knownHosts: /known_hosts }\n")).toEqual([]);
});

test.each([
  ["an endpoint that nobody may use", `${SFTP}\n    listen: { port: 1 }`, "KEY_MISSING members.porto.listen"],
  [
    "an endpoint for a directory",
    "mailbox: file:///m/porto\n    listen: { authorizedKeys: [x] }",
    "LISTEN_UNUSED members.porto.listen",
  ],
  [
    "a port that is none",
    `${SFTP}\n    listen: { port: 65536, authorizedKeys: [x] }`,
    "VALUE_INVALID members.porto.listen.port",
  ],
  ["a bandwidth that is too small", `${SFTP}\n    bandwidth: 100`, "SIZE_INVALID members.porto.bandwidth"],
])("%s is a fault", (_, porto, fault) => {
  expect(faultsOf(porto)).toEqual([fault]);
});

test("an unknown key of an endpoint names the nearest one", () => {
  const [fault] = checkConfiguration(write(`${SFTP}\n    listen: { authorizedKeyFile: /k }`));
  expect(fault).toMatchObject({ code: "KEY_UNKNOWN", message: expect.stringContaining("authorizedKeysFile") });
});
