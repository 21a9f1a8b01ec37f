import { expect, test } from "vitest";
import { changedKeys, keysForRestart } from "../../src/config/configuration-changes.ts";
import { parseConfiguration } from "../../src/config/load-configuration.ts";

const BASE = `mirror: clinic
operational: lisbon
members:
  lisbon: { mailbox: "file:///m/lisbon", state: /s/lisbon, databases: { shop: /d/lisbon.db, t-*: /d/t/*.db } }
  porto: { mailbox: "file:///m/porto", state: /s/porto, databases: { shop: /d/porto.db, t-*: /d/p/*.db } }
journal: { rotate: continuous, retention: 1h }
`;

function parse(text: string) {
  return parseConfiguration(text, "/afterimage.yaml", { environment: {}, home: "/home/op" });
}

function changed(text: string): string[] {
  return changedKeys(parse(BASE), parse(text));
}

test("a file that says the same in other words has not changed", () => {
  expect(changed(BASE)).toEqual([]);
  expect(changed(BASE.replace("1h", "60m").replace("/s/porto", "/s/../s/porto/"))).toEqual([]);
});

test.each([
  ["rotate: continuous", 'rotate: "0 * * * *"', ["journal.rotate"]],
  ["retention: 1h", "giveUpAfter: 1d", ["journal.giveUpAfter", "journal.retention"]],
  ["retention: 1h", "retention: 1h, minFree: 1GiB, minInterval: 1s", ["journal.minFree", "journal.minInterval"]],
  ["/d/porto.db", "/e/porto.db", ["members.porto.databases.shop"]],
  ["/d/p/*.db", "/e/p/*.db", ["members.porto.databases"]],
  ["state: /s/porto", "state: /s/porto, follows: lisbon, type: dr", ["members.porto.follows", "members.porto.type"]],
  ["mirror: clinic", "mirror: clinic\nssh: { identity: /id }\ntimeZone: UTC", ["ssh.identity", "timeZone"]],
  ["state: /s/porto", "state: /s/porto, backup: { directory: /b }", ["members.porto.backup"]],
  [
    "state: /s/porto",
    "state: /s/porto, hooks: { timeLimit: 5m, diverged: /h }",
    ["members.porto.hooks.diverged", "members.porto.hooks.timeLimit"],
  ],
])("%s -> %s", (from, to, keys) => {
  expect(changed(BASE.replace(from, to))).toEqual(keys);
});

test("members that come and go are named as a whole", () => {
  const faro =
    '  faro: { mailbox: "file:///m/faro", state: /s/faro, type: reporting, databases: { shop: /d/faro.db } }\n';
  const [before, after] = [parse(BASE), parse(BASE.replace("journal:", `${faro}journal:`))];
  expect(changedKeys(before, after)).toEqual(["members.faro"]);
  expect(changedKeys(after, before)).toEqual(["members.faro"]);
  expect(keysForRestart(["members.faro"], after, "lisbon")).toEqual([]);
  expect(keysForRestart(["members.faro"], before, "faro")).toEqual(["members.faro"]);
});

test("what a daemon cannot change is its own identity and places", () => {
  const keys = ["journal.rotate", "mirror", "members.lisbon.state", "members.porto.state", "members.lisbon.type"];
  expect(keysForRestart(keys, parse(BASE), "lisbon")).toEqual(["mirror", "members.lisbon.state"]);
});
