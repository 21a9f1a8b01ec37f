import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { WriterFigures } from "../bench/writer-process.ts";
import { createWritersDatabase } from "../bench/writers.ts";
import { afterimage } from "../cli/afterimage.ts";
import { createSet, OPERATIONAL, PAIR, startAll, stopAndCompare, untilLevel } from "../support/mirror-set.ts";

const WRITER = fileURLToPath(new URL("../bench/writer-process.ts", import.meta.url));
const SECONDS = 8;
/** Each commit of the writer changes two pages at least. */
const LEAST_BYTES_OF_COMMIT = 2 * 4096;
const MIB = 1024 * 1024;

const run = promisify(execFile);

function countRows(path: string): number {
  const database = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    return database.prepare<[], number>("SELECT count(*) FROM entry").pluck().get() ?? 0;
  } finally {
    database.close();
  }
}

test.each([
  { rotate: "continuous", rate: 0, part: 1 / 3 },
  // Until the rotation the database is looked after once a second.
  { rotate: "0 0 3 * * *", rate: 4_000, part: 1 / 2 },
])("the WAL stays small under a busy writer, with $rotate rotation", async ({ rotate, rate, part }) => {
  const set = createSet(PAIR, { rotate, maxSegmentBytes: 8 * MIB });
  const path = set.databasePath(OPERATIONAL);
  createWritersDatabase(path);
  await startAll(set);

  const { stdout } = await run(process.execPath, [WRITER, path, String(SECONDS), String(rate)]);
  const { perSecond, walMiB }: WriterFigures = JSON.parse(stdout);
  const writtenMiB = (perSecond * SECONDS * LEAST_BYTES_OF_COMMIT) / MIB;
  console.log(
    `${perSecond.toFixed(0)} commits a second, ${writtenMiB.toFixed(0)} MiB and more, WAL ${walMiB.toFixed(0)} MiB`,
  );
  expect(walMiB).toBeLessThan(writtenMiB * part);
  const rotated = await afterimage(["rotate", "--config", set.configPath, "--node", OPERATIONAL], { cwd: set.root });
  expect(rotated.code).toBe(0);
  await untilLevel(set, countRows);
  await stopAndCompare(set);
});
