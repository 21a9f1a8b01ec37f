/** Backups of members in the test's own process: what they hold, what is kept, and what is found damaged. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { listBackups, pruneBackups } from "../../src/backup/backup-directory.ts";
import { formatBackupName, parseBackupName } from "../../src/backup/backup-name.ts";
import { sidecarPath } from "../../src/backup/backup-sidecar.ts";
import { DatabaseLock } from "../../src/backup/database-lock.ts";
import type { MadeBackup } from "../../src/backup/make-backup.ts";
import { verifyBackup } from "../../src/backup/verify-backup.ts";
import { formatPosition, formatTxid, type Txid } from "../../src/ltx/position.ts";
import { addVisits, CLINIC } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { backUp, type Clinic, openClinic } from "./backup-support.ts";

async function clinicWithVisits(): Promise<Clinic> {
  const clinic = await openClinic(temporaryDirectory());
  addVisits(clinic.database, 50);
  await clinic.rotate();
  return clinic;
}

async function oneBackup(clinic: Clinic): Promise<MadeBackup> {
  const { backups, failures } = await backUp(clinic);
  expect(failures).toEqual([]);
  const [backup] = backups;
  if (backup === undefined) throw new Error("no backup");
  return backup;
}

function directoryOf(clinic: Clinic): string {
  return join(clinic.lisbon.context.self.state, "backups");
}

async function verify(path: string) {
  const options = { signal: new AbortController().signal, onProgress: () => undefined };
  return await verifyBackup(path, "integrity_check", options);
}

test("a backup is the database at the position that its sidecar says, and verifies", async () => {
  const clinic = await clinicWithVisits();
  const { path, sidecar } = await oneBackup(clinic);
  expect(readFileSync(path).equals(clinic.database.serialize())).toBe(true);
  const received = clinic.lisbon.context.store.database(CLINIC)?.received;
  const { epoch, txid } = sidecar.position ?? { epoch: 0, txid: "" };
  expect(received == null ? "" : formatPosition(received)).toBe(`${epoch}:${txid}:${sidecar.checksum}`);
  expect(sidecar).toMatchObject({ database: CLINIC, member: "lisbon", mirror: "clinic", role: "operational" });
  expect(sidecar.check).toEqual({ passed: "integrity_check", reason: null });
  expect(await verify(path)).toMatchObject({ ok: true, check: "integrity_check", problems: [] });
  expect(readdirSync(directoryOf(clinic)).filter((name) => name.startsWith("."))).toEqual([]);
});

test("commits that are in no segment leave an operational member's backup without a position", async () => {
  const clinic = await clinicWithVisits();
  addVisits(clinic.database, 1);
  const { path, sidecar } = await oneBackup(clinic);
  expect(sidecar.position).toBeNull();
  expect(readFileSync(path).equals(clinic.database.serialize())).toBe(true);
  expect((await verify(path)).ok).toBe(true);
});

test("what cannot be backed up is refused before anything is written", async () => {
  const clinic = await openClinic(temporaryDirectory());
  await expect(backUp(clinic)).rejects.toMatchObject({ code: "BACKUP_EMPTY" });
  addVisits(clinic.database, 1);
  await clinic.rotate();
  await expect(backUp(clinic, { allowOperational: false })).rejects.toMatchObject({ code: "BACKUP_REFUSED" });
  await expect(backUp(clinic, { databases: ["cinic"] })).rejects.toMatchObject({ code: "DATABASE_UNKNOWN" });
  expect(existsSync(directoryOf(clinic))).toBe(false);
});

test("each run keeps a copy of the state and of the configuration", async () => {
  const clinic = await clinicWithVisits();
  const { directory, state } = await backUp(clinic);
  const copy = new Database(join(directory, state.state.file), { readonly: true });
  expect(copy.prepare("SELECT count(*) AS n FROM segments").get()).toEqual({ n: 1 });
  copy.close();
  const { configuration } = clinic.lisbon.context;
  expect(readFileSync(join(directory, state.configuration.file))).toEqual(readFileSync(configuration.path));
});

test("a second backup of the database is refused while one runs, and names it", async () => {
  const clinic = await clinicWithVisits();
  using lock = DatabaseLock.open(clinic.lisbon.context.self.state, CLINIC);
  await lock.beginBackup();
  const { backups, failures } = await backUp(clinic);
  expect(backups).toEqual([]);
  expect(failures).toMatchObject([{ database: CLINIC, error: { code: "BACKUP_RUNNING" } }]);
});

test("an interrupted backup leaves nothing, and a killed one what the next one removes", async () => {
  const clinic = await clinicWithVisits();
  const directory = directoryOf(clinic);
  const interrupt = new AbortController();
  const onProgress = () => interrupt.abort(new Error("interrupted"));
  await expect(backUp(clinic, { signal: interrupt.signal, onProgress })).rejects.toThrow("interrupted");
  expect(readdirSync(directory).filter((name) => !name.startsWith("_"))).toEqual([]);
  const part = `.${CLINIC}@lisbon-new.db.0123abcd.part`;
  for (const name of [part, `${part}-wal`, `.${CLINIC}@porto-new.db.0123abcd.part`, "notes.txt"]) {
    writeFileSync(join(directory, name), "");
  }
  const { path } = await oneBackup(clinic);
  expect(listBackups(directory).map((backup) => backup.path)).toEqual([path]);
  expect(readdirSync(directory)).toEqual(
    expect.arrayContaining([`.${CLINIC}@porto-new.db.0123abcd.part`, "notes.txt"]),
  );
  expect(readdirSync(directory).filter((name) => name.startsWith(`.${CLINIC}@lisbon`))).toEqual([]);
});

test("an index that only the application can compute does not keep a database from being backed up", async () => {
  const clinic = await clinicWithVisits();
  clinic.database.function("soundof", { deterministic: true }, (text) => String(text).slice(0, 3));
  clinic.database.exec("CREATE INDEX by_sound ON visit (soundof(note))");
  await clinic.rotate();
  expect((await oneBackup(clinic)).sidecar.check).toEqual({ passed: "quick_check", reason: null });
});

test("a fault that SQLite finds keeps a backup from being made", async () => {
  const clinic = await clinicWithVisits();
  clinic.database.unsafeMode(true);
  clinic.database.pragma("writable_schema = ON");
  // The index then describes rows that the table does not have in that order.
  clinic.database.exec("UPDATE sqlite_schema SET sql = 'CREATE INDEX by_note ON visit (id)' WHERE name = 'by_note'");
  await clinic.rotate();
  const { backups, failures } = await backUp(clinic);
  expect(backups).toEqual([]);
  expect(failures).toMatchObject([{ error: { code: "BACKUP_INTEGRITY" } }]);
  expect(listBackups(directoryOf(clinic))).toEqual([]);
});

test.each<[string, (path: string) => void, RegExp]>([
  ["a flipped byte", (path) => flip(path, 9_000), /SHA-256/],
  ["a missing end", (path) => writeFileSync(path, readFileSync(path).subarray(0, 8_192)), /BACKUP_DAMAGED/],
  ["a missing file", (path) => rmSync(path), /BACKUP_MISSING/],
  ["a missing sidecar", (path) => rmSync(sidecarPath(path)), /BACKUP_MISSING/],
  ["a sidecar that is none", (path) => writeFileSync(sidecarPath(path), "{}"), /BACKUP_DAMAGED/],
])("verify finds %s", async (_, harm, problem) => {
  const { path } = await oneBackup(await clinicWithVisits());
  harm(path);
  const result = await verify(path);
  expect(result.ok).toBe(false);
  expect(result.problems.join()).toMatch(problem);
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

/** Makes a backup for each time, hours before `now`. */
async function backupsAt(clinic: Clinic, hours: readonly number[]): Promise<string[]> {
  const now = clinic.nowMs;
  const paths: string[] = [];
  for (const hour of hours) {
    clinic.nowMs = now - hour * 3_600_000;
    paths.push((await oneBackup(clinic)).path);
  }
  clinic.nowMs = now;
  return paths;
}

const OWNER = { mirror: "clinic", member: "lisbon", database: CLINIC };

test("so many of the newest are kept, and those that are young", async () => {
  const clinic = await clinicWithVisits();
  const [oldest = "", old = "", young = "", newest = ""] = await backupsAt(clinic, [30, 20, 10, 1]);
  const directory = directoryOf(clinic);
  const prune = (keep: number, hours: number | null) => {
    const keepForMs = hours === null ? null : hours * 3_600_000;
    return pruneBackups(directory, OWNER, { keep, keepForMs }, clinic.nowMs);
  };
  expect(prune(4, null)).toEqual([]);
  expect(prune(1, 25)).toEqual([oldest]);
  expect(prune(2, null)).toEqual([old]);
  expect(prune(1, 0)).toEqual([young]);
  expect(prune(1, 0)).toEqual([]);
  expect(listBackups(directory).map(({ path }) => path)).toEqual([newest]);
  expect(readdirSync(directory)).not.toContain(`${oldest.slice(directory.length + 1)}.json`);
});

test("what is not whole counts for nothing, and what is another's is not touched", async () => {
  const clinic = await clinicWithVisits();
  const [whole = "", halved = "", lone = "", bare = ""] = await backupsAt(clinic, [40, 30, 20, 10]);
  const directory = directoryOf(clinic);
  writeFileSync(halved, "half");
  rmSync(lone);
  rmSync(sidecarPath(bare));
  const prune = () => pruneBackups(directory, OWNER, { keep: 1, keepForMs: null }, clinic.nowMs);
  expect(prune()).toEqual([]);
  const [newest = ""] = await backupsAt(clinic, [0]);
  expect(existsSync(newest)).toBe(true);
  const others = pruneBackups(directory, { ...OWNER, member: "porto" }, { keep: 1, keepForMs: null }, clinic.nowMs);
  expect(others).toEqual([]);
  const removed = pruneBackups(directory, OWNER, { keep: 1, keepForMs: null }, clinic.nowMs);
  expect(removed).toEqual([lone, whole]);
  expect(existsSync(halved)).toBe(true);
  expect(existsSync(bare)).toBe(true);
});

test("names say database, member, time and transaction, and nothing else is taken for one", () => {
  const name = { database: "shop.v2-eu", member: "porto-1", takenAtMs: 1_800_000_000_123, txid: 0xb5n as Txid };
  const text = formatBackupName(name);
  expect(text).toBe(`shop.v2-eu@porto-1-20270115T080000.123Z-${formatTxid(name.txid)}.db`);
  expect(parseBackupName(text)).toEqual(name);
  expect(parseBackupName(formatBackupName({ ...name, txid: null }))).toEqual({ ...name, txid: null });
  for (const other of ["shop.db", `.${text}`, `${text}.json`, text.replace("T", " "), text.replace("0115", "1315")]) {
    expect(parseBackupName(other)).toBeNull();
  }
});

test("a directory that does not exist has no backups", () => {
  const directory = join(temporaryDirectory(), "none");
  expect(listBackups(directory)).toEqual([]);
  mkdirSync(directory);
  expect(listBackups(directory)).toEqual([]);
});
