/** One flipped byte, on whichever member, found by comparing a chain of members while all of them go on. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { afterimage } from "../cli/afterimage.ts";
import { readEvents } from "../support/events.ts";
import { CHAIN, createSet, MIRROR, OPERATIONAL, startAll, untilLevel, untilSet } from "../support/mirror-set.ts";

const PAGE_BYTES = 4096;
/** Inverts one bit, and leaves the times of the file as they are: what a disk does to it. */
const FLIP = `
import os, sys
path, offset = sys.argv[1], int(sys.argv[2])
times = os.stat(path)
with open(path, "r+b", buffering=0) as file:
    file.seek(offset)
    byte = file.read(1)[0]
    file.seek(offset)
    file.write(bytes([byte ^ 4]))
os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
`;

/** Of a page that holds a part of a large value: no structure of SQLite's is touched. */
function flipIn(path: string, pgno: number): void {
  execFileSync("python3", ["-c", FLIP, path, String((pgno - 1) * PAGE_BYTES + 2000)]);
}

function countRows(path: string): number {
  const database = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    return database.prepare<[], number>("SELECT count(*) FROM scan").pluck().get() ?? 0;
  } finally {
    database.close();
  }
}

async function verifyDeep(set: DemoSet, member: string) {
  const args = ["verify", "--deep", "--json", "--config", set.configPath, "--node", member];
  const { code, stdout } = await afterimage(args, { cwd: set.root });
  const { databases } = JSON.parse(stdout);
  return { code, ...databases[0] };
}

async function chain(journal: Readonly<Record<string, string>> = {}) {
  const set = createSet(CHAIN);
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  writeFileSync(set.configPath, stringify({ ...configuration, journal: { ...configuration.journal, ...journal } }));
  const application = new Database(set.databasePath(OPERATIONAL));
  application.pragma("journal_mode = WAL");
  application.exec("CREATE TABLE scan (id INTEGER PRIMARY KEY, image BLOB)");
  const insert = application.prepare("INSERT INTO scan (image) VALUES (randomblob(400000))");
  insert.run();
  application.pragma("wal_checkpoint(TRUNCATE)");
  await startAll(set);
  insert.run();
  await untilLevel(set, countRows);
  return { set, application };
}

test("a chain without a fault is found so, from its end to its beginning", async () => {
  const { set, application } = await chain();
  const found = await verifyDeep(set, "faro");
  expect(found).toMatchObject({ code: 0, ok: true, problems: [] });
  expect(found.members).toMatchObject([
    { member: MIRROR, state: "ok", problems: [] },
    { member: OPERATIONAL, state: "ok", problems: [] },
  ]);
  application.close();
});

test.each([OPERATIONAL, MIRROR, "faro"])(
  "a flipped byte in the file of %s is found from the chain's end, with its page",
  async (victim) => {
    const { set, application } = await chain();
    // A page of the first row, which lies in the file and not in the WAL.
    flipIn(set.databasePath(victim), 60);
    const { code, ok, problems, members } = await verifyDeep(set, "faro");
    expect({ code, ok }).toEqual({ code: 5, ok: false });
    const own = { member: "faro", problems };
    const bad = [own, ...members].filter((each) => each.problems.some((problem: string) => /page 60\b/.test(problem)));
    expect(bad.map(({ member }) => member)).toEqual([victim]);
    application.close();
  },
);

test("a flipped byte of the operational database is found by schedule, by every mirror", async () => {
  const { set, application } = await chain({ deepVerify: "*/2 * * * * *" });
  const mirrors = [MIRROR, "faro"];
  const events = (member: string, code: string) => readEvents(set, member).filter((event) => event.code === code);
  const all = (code: string) => mirrors.every((member) => events(member, code).length > 0);
  await untilSet(set, "both mirrors have compared themselves", () => all("DEEP_VERIFIED"));
  expect(events("faro", "DEEP_VERIFIED")[0]?.data).toMatchObject({ members: [MIRROR, OPERATIONAL], silent: [] });
  expect(mirrors.flatMap((member) => events(member, "DEEP_VERIFICATION_FAILED"))).toEqual([]);

  flipIn(set.databasePath(OPERATIONAL), 60);
  await untilSet(set, "both mirrors know of it", () => all("DEEP_VERIFICATION_FAILED"));
  expect(events("faro", "DEEP_VERIFICATION_FAILED")[0]?.message).toContain(`${OPERATIONAL} has faults of its own`);
  expect(events(OPERATIONAL, "VERIFICATION_FAILED")[0]?.message).toMatch(/page 60\b/);
  expect(events(OPERATIONAL, "DEEP_VERIFIED")).toEqual([]);
  application.close();
});
