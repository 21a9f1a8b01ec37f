/**
 * Takes a database's lock again and again, for batches or for backups, and proves each time that nobody else has it:
 * `<state directory> integration | backup`. A file that only one process can make is the proof; one that a killed process left
 * proves nothing against us. Prints `both <pid>` when two have the database at once, and how often it had it by the hundred.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseLock } from "../../src/backup/database-lock.ts";
import { errnoOf } from "../../src/errno.ts";

const [state = "", kind = ""] = process.argv.slice(2);
const LONGEST_DYING_MS = 10_000;
const proof = join(state, "in-use");

/** A process that was killed frees its locks some moments before it is gone, and is then a zombie until its parent looks. */
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Whose proof it is; 0 when there is none, or when its maker was killed between two calls. */
function prover(): number {
  try {
    return Number(readFileSync(proof, "utf8"));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return 0;
    throw error;
  }
}

/** Whether the maker of a proof that we found goes on with its turn, and has not been killed in it. */
async function goesOn(pid: number): Promise<boolean> {
  const begun = performance.now();
  while (isRunning(pid)) {
    // Only a live one takes its proof away; one that is dying may take long for it beside busy processes.
    if (prover() !== pid || performance.now() - begun > LONGEST_DYING_MS) return true;
    await sleep(1);
  }
  return false;
}

/** While we have the database. */
async function claim(): Promise<void> {
  try {
    writeFileSync(proof, String(process.pid), { flag: "wx" });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
    const pid = prover();
    if (pid > 0 && (await goesOn(pid))) console.log(`both ${pid}`);
    writeFileSync(proof, String(process.pid));
  }
}

async function turn(lock: DatabaseLock): Promise<boolean> {
  if (kind === "backup") await lock.beginBackup({ waitMs: null });
  else if (!lock.tryIntegrate()) return false;
  await claim();
  await sleep(Math.random() * 3);
  rmSync(proof, { force: true });
  lock.freeDatabase();
  return true;
}

let turns = 0;
for (;;) {
  using lock = DatabaseLock.open(state, "clinic");
  if (await turn(lock)) turns++;
  else await sleep(1);
  if (turns === 1 || turns % 100 === 0) console.log(`turns ${turns}`);
}
