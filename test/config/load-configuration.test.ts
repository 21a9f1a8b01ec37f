import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError, type Fault } from "../../src/config/config-error.ts";
import { selectMember } from "../../src/config/configuration.ts";
import { checkConfiguration, loadConfiguration } from "../../src/config/load-configuration.ts";

const EXAMPLES = new URL("../../config/", import.meta.url);
const OPTIONS = { environment: { ROOT: "/srv", KEEP: "3", TRICKY: "a: [b" }, home: "/home/op" };
const FINGERPRINT = `SHA256:${"x".repeat(43)}`;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "afterimage-config-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function write(text: string): string {
  const file = join(directory, "afterimage.yaml");
  writeFileSync(file, text);
  return file;
}

function faultsOf(text: string): Fault[] {
  return checkConfiguration(write(text), OPTIONS);
}

function load(text: string) {
  return loadConfiguration(write(text), OPTIONS);
}

/** `CODE line:column path`, which is what scripts and editors rely on. */
function places(text: string): string[] {
  return faultsOf(text).map(({ code, line, column, path }) => `${code} ${line}:${column} ${path}`);
}

function errorOf(action: () => unknown): ConfigError {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const PAIR = `mirror: clinic
operational: lisbon
members:
  lisbon:
    mailbox: file:///m/lisbon
    state: /s/lisbon
    databases: { patients: /d/lisbon.db }
  porto:
    mailbox: file:///m/porto
    state: /s/porto
    databases: { patients: /d/porto.db }
`;

describe("a correct file", () => {
  test("lets a mirror lag behind, and one for reports integrate by night", () => {
    const { members } = load(`${PAIR}    type: reporting\n    delay: 1h\n    integrate: "0 6 * * *"\n`);
    expect(members.get("porto")).toMatchObject({
      delayMs: 3_600_000,
      integrate: { kind: "cron", expression: "0 6 * * *" },
    });
  });

  test("gets every default", () => {
    const { ssh, journal, members, timeZone } = load(PAIR);
    expect(ssh).toEqual({ identity: null, passphraseFile: null, passphraseVariable: null, knownHosts: null });
    expect(journal).toEqual({
      rotate: { kind: "cron", expression: "*/10 * * * * *" },
      minIntervalMs: 50,
      maxSegmentBytes: 67_108_864,
      retentionMs: 259_200_000,
      giveUpAfterMs: 1_209_600_000,
      maxBytes: null,
      minFreeBytes: null,
      snapshot: "0 2 * * *",
      ship: { kind: "continuous" },
      verify: "0 4 * * 0",
      deepVerify: "0 5 1 * *",
    });
    expect(timeZone).toBeNull();
    expect(members.get("porto")).toEqual({
      name: "porto",
      mailbox: "file:///m/porto",
      hostKey: null,
      bandwidth: null,
      listen: null,
      http: null,
      directory: "/m/porto",
      state: "/s/porto",
      databases: new Map([["patients", "/d/porto.db"]]),
      databasePatterns: [],
      follows: "operational",
      type: "failover",
      delayMs: 0,
      integrate: { kind: "continuous" },
      backup: null,
      drill: null,
      hooks: { timeLimitMs: 60_000 },
      alerts: {},
    });
  });

  test("has its units, home directory and variables resolved", () => {
    const configuration = load(`mirror: clinic
operational: lisbon
timeZone: Europe/Lisbon
ssh: { identity: ~/.ssh/id_ed25519 }
journal:
  { rotate: continuous, minInterval: 1s500ms, maxSegmentBytes: 1GiB, retention: 1w, giveUpAfter: 1.5d,
    maxBytes: 20GiB, minFree: 0, snapshot: off, ship: "0 */5 * * * *", verify: off, deepVerify: off }
members:
  lisbon:
    mailbox: sftp://mirror@lisbon.example:2222/srv/after%20image/
    hostKey: ${FINGERPRINT}
    directory: \${ROOT}/mailbox/
    state: ~/state
    databases: { patients: "\${ROOT}/\${TRICKY}.db", prices: "/d/$\${ROOT}.db" }
    backup: { directory: /b, schedule: "0 3 * * *", keep: "\${KEEP}", keepFor: 30d, check: quick }
    drill: { schedule: "0 5 * * 0", script: ~/check, directory: /c, timeLimit: 5m }
`);
    expect(configuration.ssh.identity).toBe("/home/op/.ssh/id_ed25519");
    expect(configuration.journal).toEqual({
      rotate: { kind: "continuous" },
      minIntervalMs: 1_500,
      maxSegmentBytes: 1_073_741_824,
      retentionMs: 604_800_000,
      giveUpAfterMs: 129_600_000,
      maxBytes: 21_474_836_480,
      minFreeBytes: 0,
      snapshot: null,
      ship: { kind: "cron", expression: "0 */5 * * * *" },
      verify: null,
      deepVerify: null,
    });
    expect(configuration.timeZone).toBe("Europe/Lisbon");
    const lisbon = selectMember(configuration, "lisbon");
    expect(lisbon.directory).toBe("/srv/mailbox");
    expect(lisbon.state).toBe("/home/op/state");
    expect(lisbon.databases).toEqual(
      new Map([
        ["patients", "/srv/a: [b.db"],
        ["prices", `/d/$${"{ROOT}"}.db`],
      ]),
    );
    expect(lisbon.backup).toEqual({
      directory: "/b",
      schedule: "0 3 * * *",
      keep: 3,
      keepForMs: 30 * 86_400_000,
      check: "quick",
      allowOperational: false,
    });
    expect(lisbon.drill).toEqual({
      schedule: "0 5 * * 0",
      script: "/home/op/check",
      directory: "/c",
      timeLimitMs: 300_000,
    });
  });

  test("lets members that share directories have their databases at the same place", () => {
    const { members } = load(PAIR.replace("d/porto", "d/lisbon"));
    expect(members.get("porto")?.databases.get("patients")).toBe("/d/lisbon.db");
  });

  test("lets machines that are reached over SSH use the same paths", () => {
    const member = (name: string) => `
  ${name}:
    mailbox: sftp://mirror@${name}.example/srv/afterimage
    hostKey: ${FINGERPRINT}
    state: /var/lib/afterimage
    databases: { patients: /var/lib/clinic/patients.db }`;
    const configuration = load(`mirror: clinic\noperational: a\nmembers:${member("a")}${member("b")}\n`);
    expect(configuration.members.get("b")?.directory).toBe("/srv/afterimage");
  });

  test.each(readdirSync(EXAMPLES).filter((name) => name.endsWith(".yaml")))("config/%s has no fault", (name) => {
    expect(checkConfiguration(new URL(name, EXAMPLES).pathname)).toEqual([]);
  });
});

describe("a fault", () => {
  test("is reported at its place, together with all the others, in the order of the file", () => {
    const text = `mirror: clinic
opertional: lisbon
members:
  lisbon:
    mailbox: ftp://x/y
    state: relative
    databases: { patients: /d/lisbon.db }
  porto:
    mailbx: file:///m/porto
    state: /s/porto
    databases: { patients: "\${NOWHERE}/porto.db" }
    type: failvoer
journal: { retention: 72, rotate: "61 * * * *" }
`;
    expect(places(text)).toEqual([
      "KEY_MISSING 1:1 operational",
      "KEY_UNKNOWN 2:1 opertional",
      "MAILBOX_INVALID 5:14 members.lisbon.mailbox",
      "PATH_NOT_ABSOLUTE 6:12 members.lisbon.state",
      "KEY_MISSING 8:3 members.porto.mailbox",
      "KEY_UNKNOWN 9:5 members.porto.mailbx",
      "VARIABLE_UNSET 11:28 ",
      "VALUE_INVALID 12:11 members.porto.type",
      "TYPE_WRONG 13:23 journal.retention",
      "CRON_INVALID 13:35 journal.rotate",
    ]);
  });

  test("in a key names the nearest key", () => {
    expect(faultsOf(PAIR.replace("mirror:", "miror:"))[1]?.message).toContain("did you mean mirror?");
    expect(faultsOf(`${PAIR}http: {}\n`)[0]?.message).toContain("belongs into a member's section");
    expect(faultsOf(`${PAIR}    bakup: {}\n`)[0]?.message).toContain("did you mean backup?");
    expect(faultsOf(`${PAIR}    backup: { directory: /b, kep: 1 }\n`)[0]?.message).toContain("did you mean keep?");
    expect(faultsOf(`${PAIR}    drill: { scrip: /b }\n`)[0]?.message).toContain("did you mean script?");
    expect(faultsOf(`${PAIR}journal: { rotat: continuous }\n`)[0]?.message).toContain("did you mean rotate?");
    expect(faultsOf(`timeZone: Europe/Lisboa\n${PAIR}`)[0]?.message).toContain("did you mean Europe/Lisbon?");
    expect(faultsOf(`${PAIR}ssh: { qqqqqqqqqq: 1 }\n`)[0]?.message).toContain("the keys here are identity");
  });

  const cases: [string, string, string][] = [
    ["unquoted stars", `${PAIR}journal: { rotate: */10 * * * * * }\n`, "YAML_SYNTAX 12:20 "],
    ["an unquoted variable inside braces", PAIR.replace("/d/porto", `$${"{ROOT}"}/porto`), "YAML_SYNTAX 11:29 "],
    [
      "a snapshot schedule that is none",
      `${PAIR}journal: { snapshot: never }\n`,
      "CRON_INVALID 12:22 journal.snapshot",
    ],
    ["a shipping schedule that is none", `${PAIR}journal: { ship: "* *" }\n`, "CRON_INVALID 12:18 journal.ship"],
    ["a time zone that is none", `timeZone: "+01:00"\n${PAIR}`, "VALUE_INVALID 1:11 timeZone"],
    ["a journal that holds nothing", `${PAIR}journal: { maxBytes: 1MiB }\n`, "SIZE_INVALID 12:22 journal.maxBytes"],
    ["an unclosed quote", `mirror: "x\n`, "YAML_SYNTAX 2:1 "],
    ["an empty file", "", "TYPE_WRONG 1:1 "],
    ["a list", "- a\n", "TYPE_WRONG 1:1 "],
    ["a second document", `${PAIR}---\nmirror: x\n`, "YAML_SYNTAX 12:1 "],
    ["a key twice", `${PAIR}mirror: again\n`, "KEY_DUPLICATE 12:1 "],
    ["a key that JavaScript objects cannot hold", `${PAIR}__proto__: {}\n`, "KEY_UNKNOWN 12:1 __proto__"],
    ["an unknown operational member", PAIR.replace("l: lisbon", "l: lisbn"), "MEMBER_UNKNOWN 2:14 operational"],
    ["a member's name with a dot", PAIR.replace("porto:\n", "por.to:\n"), "MEMBER_NAME_INVALID 8:3 members.por.to"],
    [
      "a member named operational",
      PAIR.replace("porto:\n", "Operational:\n"),
      "MEMBER_NAME_INVALID 8:3 members.Operational",
    ],
    [
      "names that differ in case only",
      PAIR.replace("porto:\n", "LISBON:\n"),
      "MEMBER_NAME_DUPLICATE 8:3 members.LISBON",
    ],
    [
      "a database's name that leaves its directory",
      PAIR.replace("patients", "../x"),
      "DATABASE_NAME_INVALID 7:18 members.lisbon.databases.../x",
    ],
    ["no databases", PAIR.replace("{ patients: /d/lisbon.db }", "{}"), "KEY_MISSING 7:16 members.lisbon.databases"],
    ["a member that follows itself", `${PAIR}    follows: porto\n`, "FOLLOWS_SELF 12:14 members.porto.follows"],
    [
      "a member that follows nobody known",
      `${PAIR}    follows: lisboa\n`,
      "MEMBER_UNKNOWN 12:14 members.porto.follows",
    ],
    [
      "a circle",
      `${PAIR}    follows: lisbon\n`.replace("state: /s/lisbon", "state: /s/lisbon\n    follows: porto"),
      "FOLLOWS_CYCLE 7:14 members.lisbon.follows",
    ],
    ["one mailbox for two", PAIR.replace("m/porto", "m/x/../lisbon/"), "MAILBOX_SHARED 9:14 members.porto.mailbox"],
    [
      "a state directory whose control socket no system call would take",
      PAIR.replace("/s/porto", `/s/${"x".repeat(100)}`),
      "PATH_TOO_LONG 10:12 members.porto.state",
    ],
    ["one state for two", PAIR.replace("s/porto", "s/lisbon"), "STATE_SHARED 10:12 members.porto.state"],
    [
      "one database file for two databases",
      PAIR.replace("{ patients: /d/lisbon.db }", "{ patients: /d/lisbon.db, copy: /d/lisbon.db }").replace(
        "{ patients: /d/porto.db }",
        "{ patients: /d/porto.db, copy: /d/copy.db }",
      ),
      "DATABASE_PATH_SHARED 7:48 members.lisbon.databases.copy",
    ],
    [
      "one database file for two members of one host",
      PAIR.replace(/mailbox: file:\/\/(.*)/g, `mailbox: sftp://u@host$1\n    hostKey: ${FINGERPRINT}`).replace(
        "d/porto",
        "d/lisbon",
      ),
      "DATABASE_PATH_SHARED 13:28 members.porto.databases.patients",
    ],
    [
      "backups in the mailbox",
      `${PAIR}    backup: { directory: /m/porto/backups }\n`,
      "STATE_EXPOSED 12:26 members.porto.backup.directory",
    ],
    ["a state in the mailbox", PAIR.replace("/s/porto", "/m/porto/state"), "STATE_EXPOSED 10:12 members.porto.state"],
    [
      "a mirror without one of the databases",
      PAIR.replace("lisbon.db }", "lisbon.db, billing: /d/b.db }"),
      "DATABASE_MISSING 11:5 members.porto.databases",
    ],
    [
      "a database that the operational member does not have",
      PAIR.replace("porto.db }", "porto.db, billing: /d/b.db }"),
      "DATABASE_UNKNOWN 11:41 members.porto.databases.billing",
    ],
    [
      "an operational member for reports",
      PAIR.replace("state: /s/lisbon", "state: /s/lisbon\n    type: reporting"),
      "OPERATIONAL_TYPE 7:11 members.lisbon.type",
    ],
    [
      "a schedule of integration for a member that may take over",
      `${PAIR}    integrate: "0 6 * * *"\n`,
      "VALUE_INVALID 12:16 members.porto.integrate",
    ],
    ["a delay without a unit", `${PAIR}    delay: 60\n`, "TYPE_WRONG 12:12 members.porto.delay"],
    [
      "an sftp mailbox without host key",
      PAIR.replace("file:///m/porto", "sftp://u@h/m/porto"),
      "HOST_KEY_MISSING 9:5 members.porto.mailbox",
    ],
    ["a host key that is none", `${PAIR}    hostKey: SHA256:...\n`, "HOST_KEY_INVALID 12:14 members.porto.hostKey"],
    [
      "a host key for a directory",
      `${PAIR}    hostKey: ${FINGERPRINT}\n`,
      "HOST_KEY_UNUSED 12:5 members.porto.hostKey",
    ],
    ["an unknown unit of time", `${PAIR}journal: { retention: 3y }\n`, "DURATION_INVALID 12:23 journal.retention"],
    ["a duration out of range", `${PAIR}journal: { minInterval: 2h }\n`, "DURATION_INVALID 12:25 journal.minInterval"],
    [
      "an unknown unit of size",
      `${PAIR}journal: { maxSegmentBytes: 64mb }\n`,
      "SIZE_INVALID 12:29 journal.maxSegmentBytes",
    ],
    [
      "a number of backups below one",
      `${PAIR}    backup: { directory: /b, keep: 0 }\n`,
      "VALUE_INVALID 12:36 members.porto.backup.keep",
    ],
    ["a number for text", PAIR.replace("clinic", "7"), "TYPE_WRONG 1:9 mirror"],
    ["an alias without anchor", PAIR.replace("clinic", "*x"), "YAML_SYNTAX 1:9 "],
  ];
  test.each(cases)("%s", (_, text, expected) => {
    expect(places(text)).toEqual([expected]);
  });

  test("in an sftp address says what is missing, and refuses a password", () => {
    const message = (address: string) => faultsOf(PAIR.replace("file:///m/porto", address))[0]?.message;
    expect(message("sftp://host/dir")).toContain("needs a user");
    expect(message("sftp://u@host")).toContain("needs the path");
    expect(message("sftp://u@host/")).toContain("needs the path");
    expect(message("sftp://u:secret@host/dir")).toContain("no password");
    expect(message("file://dir/x")).toContain("three slashes");
    expect(message("/just/a/path")).toContain("is not a URL");
  });

  test("that multiplies aliases is refused instead of growing", () => {
    const level = (n: number) =>
      `l${n}: &l${n} [${Array(9)
        .fill(`*l${n - 1}`)
        .join(",")}]\n`;
    const bomb = `l0: &l0 [x]\n${[1, 2, 3, 4, 5, 6, 7, 8, 9].map(level).join("")}`;
    expect(faultsOf(bomb)[0]?.code).toBe("YAML_SYNTAX");
  });
});

describe("loadConfiguration", () => {
  test("throws all faults with file, line and column", () => {
    const error = errorOf(() => load("mirror: clinic\nmembers: {}\n"));
    expect(error).toMatchObject({ code: "CONFIG_INVALID", path: join(directory, "afterimage.yaml") });
    expect(error.faults.map(({ code }) => code)).toEqual(["KEY_MISSING"]);
    expect(error.message).toContain(`${join(directory, "afterimage.yaml")}:1:1: KEY_MISSING operational: `);
  });

  test("says that there is no file, or that it cannot be read", () => {
    expect(errorOf(() => loadConfiguration(join(directory, "none.yaml"))).code).toBe("CONFIG_MISSING");
    expect(errorOf(() => loadConfiguration(directory)).code).toBe("CONFIG_UNREADABLE");
  });

  test("knows its members, and names the nearest for one that it does not know", () => {
    const configuration = load(PAIR);
    expect(selectMember(configuration, "porto").name).toBe("porto");
    const unknown = errorOf(() => selectMember(configuration, "Prto"));
    expect(unknown).toMatchObject({ code: "MEMBER_UNKNOWN", hint: "did you mean porto?" });
    expect(errorOf(() => selectMember(configuration, "constructor")).hint).toBe("the members are: lisbon, porto");
  });
});
