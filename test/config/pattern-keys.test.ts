import { expect, test } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { parseConfiguration } from "../../src/config/load-configuration.ts";

interface Sections {
  readonly lisbon: string;
  readonly porto: string;
  readonly type?: string;
}

function configuration({ lisbon, porto, type = "failover" }: Sections): string {
  return `mirror: clinic
operational: lisbon
members:
  lisbon: { mailbox: "sftp://m@one/srv/lisbon", state: /s/lisbon, databases: { ${lisbon} } }
  porto: { mailbox: "sftp://m@one/srv/porto", state: /s/porto, type: ${type}, databases: { ${porto} } }
ssh: { knownHosts: /known }
`;
}

function faults(sections: Sections): string[] {
  try {
    parseConfiguration(configuration(sections), "/afterimage.yaml", { environment: {}, home: "/home/op" });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ code, path }) => `${code} ${path}`);
    throw error;
  }
}

test("names and patterns are told apart", () => {
  const text = configuration({
    lisbon: "patients: /d/patients.db, tenant-*: ~/tenants/*.db",
    porto: "patients: /c/patients.db, '*': /c/*.db",
  });
  const { members } = parseConfiguration(text, "/afterimage.yaml", { environment: {}, home: "/home/op" });
  expect(members.get("lisbon")).toMatchObject({
    databases: new Map([["patients", "/d/patients.db"]]),
    databasePatterns: [{ name: "tenant-*", path: "/home/op/tenants/*.db" }],
  });
  expect(members.get("porto")?.databasePatterns).toEqual([{ name: "*", path: "/c/*.db" }]);
});

test.each([
  ["a star on one side only", { lisbon: "a-*: /d/a.db", porto: "a-*: /c/*.db" }, "DATABASE_PATTERN_INVALID"],
  ["two stars", { lisbon: "a-*: /d/*/*.db", porto: "a-*: /c/*.db" }, "DATABASE_PATTERN_INVALID"],
  ["a name that cannot be one", { lisbon: "-*: /d/*.db", porto: "-*: /c/*.db" }, "DATABASE_NAME_INVALID"],
])("%s is a fault", (_, sections, code) => {
  expect(faults(sections).map((fault) => fault.split(" ")[0])).toContain(code);
});

test("a mirror must hold all that the operational member's patterns may find", () => {
  const lisbon = "tenant-*: /d/*.db";
  expect(faults({ lisbon, porto: "tenant-*: /c/*.db" })).toEqual([]);
  expect(faults({ lisbon, porto: "'*': /c/*.db" })).toEqual([]);
  expect(faults({ lisbon, porto: "tenant-eu-*: /c/*.db" })).toEqual(["DATABASE_MISSING members.porto.databases"]);
  expect(faults({ lisbon, porto: "tenant-a: /c/a.db" })).toEqual(["DATABASE_MISSING members.porto.databases"]);
  expect(faults({ lisbon, porto: "tenant-a: /c/a.db", type: "reporting" })).toEqual([]);
  expect(faults({ lisbon: "tenant-a: /d/a.db", porto: "tenant-*: /c/*.db" })).toEqual([]);
});

test("a mirror's pattern that can match nothing of its upstream's is a fault", () => {
  const porto = "tenant-*: /c/*.db, store-*: /c/stores/*.db";
  expect(faults({ lisbon: "tenant-*: /d/*.db", porto })).toEqual(["DATABASE_UNKNOWN members.porto.databases.store-*"]);
});

test("on one machine no file may be found twice, but a member's named database is not the pattern's", () => {
  const shared = "DATABASE_PATH_SHARED members.porto.databases";
  expect(faults({ lisbon: "a: /d/a.db, '*': /d/*.db", porto: "'*': /c/*.db" })).toEqual([]);
  expect(faults({ lisbon: "'*': /d/*.db", porto: "'*': /d/*.db" })).toEqual([`${shared}.*`]);
  expect(faults({ lisbon: "'*': /d/*.db", porto: "'*': /c/*.db, a: /d/a.db" })).toEqual([
    "DATABASE_PATH_SHARED members.lisbon.databases.*",
  ]);
  expect(faults({ lisbon: "a-*: /d/*.db, b-*: /d/x*.db", porto: "'*': /c/*.db" })).toEqual([
    "DATABASE_PATH_SHARED members.lisbon.databases.b-*",
  ]);
});

test("a pattern may not reach into the mailbox", () => {
  expect(faults({ lisbon: "'*': /srv/lisbon/*.db", porto: "'*': /srv/*/data.sqlite" })).toEqual([
    "STATE_EXPOSED members.lisbon.databases.*",
    "STATE_EXPOSED members.porto.databases.*",
  ]);
  expect(faults({ lisbon: "'*': /srv/*.db", porto: "'*': /srv/copies/*.db" })).toEqual([]);
});
