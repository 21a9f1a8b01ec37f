/** A database far larger than what a command may hold in memory is backed up and restored. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { afterimage } from "../cli/afterimage.ts";
import { CLINIC, createClinic, databasePath, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MIB = 1024 * 1024;
const DATABASE_MIB = 320;
/** What the program itself takes, with its libraries, is some 100 MiB. */
const LIMIT = 240 * MIB;
const SAY_PEAK = `data:text/javascript,process.on("exit",()=>process._rawDebug("peak "+process.resourceUsage().maxRSS))`;

test("320 MiB are backed up and restored without memory growing with them", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  const insert = database.prepare("INSERT INTO visit (note, scan) VALUES ('large', randomblob(1048576))");
  for (let i = 0; i < DATABASE_MIB; i++) insert.run();
  const lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  database.exec("UPDATE visit SET note = 'later' WHERE id < 5");
  await lisbon.rotate();
  await lisbon.close();
  database.close();

  const run = async (...args: string[]) => {
    const options = { cwd: root, nodeFlags: ["--import", SAY_PEAK] };
    const ended = await afterimage([...args, "--node", "lisbon", "--json"], options);
    expect(ended).toMatchObject({ code: 0 });
    return { peak: Number(/peak (\d+)/.exec(ended.stderr)?.[1]) * 1024, document: JSON.parse(ended.stdout) };
  };
  const made = await run("backup", "--allow-operational");
  expect(made.document.backups[0].bytes).toBeGreaterThan(DATABASE_MIB * MIB);
  const fromBackup = await run("restore", CLINIC, "--to", join(root, "a.db"), "--from", made.document.backups[0].path);
  const fromJournal = await run("restore", CLINIC, "--to", join(root, "b.db"), "--from", "journal");
  expect(fromJournal.document).toMatchObject({ base: { kind: "snapshot" }, sha256: fromBackup.document.sha256 });
  const peaks = [made.peak, fromBackup.peak, fromJournal.peak];
  console.log(`peak memory: ${peaks.map((peak) => Math.round(peak / MIB)).join(", ")} MiB`);
  for (const peak of peaks) expect(peak).toBeLessThan(LIMIT);

  const restored = new Database(join(root, "b.db"), { readonly: true });
  expect(restored.prepare("SELECT count(*) FROM visit WHERE note = 'later'").pluck().get()).toBe(4);
  restored.close();
});
