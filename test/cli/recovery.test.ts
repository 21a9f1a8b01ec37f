/** The steps of docs/RECOVERY.md, run as they stand there by a shell, with a set of daemons. */
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { PROGRAM } from "./afterimage.ts";
import { Pair } from "./pair.ts";

const DOCUMENT = readFileSync(new URL("../../docs/RECOVERY.md", import.meta.url), "utf8");
const run = promisify(execFile);

/** The shell commands of a section, a block each. */
function blocksOf(heading: string): string[] {
  const section = DOCUMENT.split(/^### /m).find((each) => each.startsWith(heading)) ?? "";
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, commands = ""]) => commands);
}

/** A pair of daemons, the mirror an hour late, and a shell on the mirror's machine that knows the program by its name. */
class DelayedPair extends Pair {
  configure(): void {
    const keys = (member: string, more: object) => ({
      mailbox: pathToFileURL(this.set.mailboxPath(member)).href,
      ...more,
    });
    const members = new Map([
      ["lisbon", keys("lisbon", {})],
      ["porto", keys("porto", { delay: "1h" })],
    ]);
    this.set.configure({ members, ssh: {} });
    mkdirSync(join(this.set.root, "bin"));
    writeFileSync(
      join(this.set.root, "bin", "afterimage"),
      `#!/bin/sh\nexec "${process.execPath}" "${PROGRAM}" "$@"\n`,
    );
    chmodSync(join(this.set.root, "bin", "afterimage"), 0o755);
  }

  /** Runs commands of the document, which speak of the database `patients` and of a time. */
  async shell(commands: string, time: string): Promise<string> {
    const script = commands
      .replaceAll("/var/lib/mirror/patients.db", this.set.databasePath("porto"))
      .replaceAll("/var/lib/clinic/patients.db", this.set.databasePath("lisbon"))
      .replaceAll(/\bpatients\b(?!-)/g, "shop")
      .replaceAll("2026-03-01T11:58:00Z", time);
    const env = { ...process.env, AFTERIMAGE_NODE: "porto", PATH: `${join(this.set.root, "bin")}:${process.env.PATH}` };
    const { stdout } = await run("bash", ["-euc", script], { cwd: this.set.root, env });
    return stdout;
  }

  /** Rotates, and resolves to the segment's end and time once porto has received it. */
  async ship(): Promise<{ txid: string; time: string }> {
    await this.json("lisbon", "rotate");
    const { segments } = await this.json("lisbon", "segments", "--limit", "1");
    const { maxTxid: txid, time } = segments[0];
    await this.until("porto has received it", () => this.set.databaseStatus("porto")?.received?.txid === txid);
    return { txid, time };
  }

  integrated(): string | null {
    return this.set.databaseStatus("porto")?.integrated?.txid ?? null;
  }
}

function visits(path: string): unknown[] {
  const database = new Database(path, { readonly: true });
  try {
    return database.prepare("SELECT note FROM visit ORDER BY id").pluck().all();
  } finally {
    database.close();
  }
}

async function makeMistake(): Promise<{ pair: DelayedPair; before: { txid: string; time: string }; mistake: string }> {
  const pair = new DelayedPair();
  pair.configure();
  pair.start("lisbon");
  pair.start("porto");
  await pair.until("porto has its snapshot", () => pair.integrated() !== null);
  pair.write("CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO visit (note) VALUES ('first')");
  await pair.ship();
  pair.write("INSERT INTO visit (note) VALUES ('second'); CREATE TABLE other (a)");
  const before = await pair.ship();
  pair.write("DROP TABLE visit");
  const { txid: mistake } = await pair.ship();
  return { pair, before, mistake };
}

test("a delayed mirror saves a dropped table, by the documented steps", async () => {
  const { pair, before, mistake } = await makeMistake();
  await pair.until("the delay holds it back", () => pair.set.databaseStatus("porto")?.hold?.by === "delay");
  const waiting = await pair.run("porto", "status");
  expect(waiting.stdout).toContain("porto/shop: delay 1h: ");
  expect(pair.set.status("porto")?.state).not.toBe("paused");

  const [pause, find, integrate, dump, repair, resume, ...others] = blocksOf("With a delayed mirror");
  expect(others).toEqual([]);
  await pair.shell(pause ?? "", before.time);
  expect((await pair.run("porto", "status")).stdout).toContain("porto/shop: paused by operator: ");
  expect(await pair.shell(find ?? "", before.time)).toContain(before.txid);
  expect(await pair.shell(integrate ?? "", before.time)).toContain(`at 1:${before.txid}:`);
  expect(visits(pair.set.databasePath("porto"))).toEqual(["first", "second"]);
  expect((await pair.run("porto", "status")).stdout).toContain(`porto/shop: until ${before.time}: `);
  await pair.shell(dump ?? "", before.time);
  await pair.shell(repair ?? "", before.time);
  expect(visits(pair.set.databasePath("lisbon"))).toEqual(["first", "second"]);
  const { txid: end } = await pair.ship();
  await pair.shell(resume ?? "", before.time);
  await pair.until("the delay holds it back again", () => pair.set.databaseStatus("porto")?.hold?.by === "delay");
  expect(pair.integrated()).toBe(before.txid);

  expect(mistake > before.txid && end > mistake).toBe(true);
  const [level] = (await pair.json("porto", "integrate", "--now")).integrated;
  expect(level).toMatchObject({ database: "shop", position: expect.stringContaining(end), hold: null });
  expect(visits(pair.set.databasePath("porto"))).toEqual(["first", "second"]);
}, 60_000);

test("the journal of any member saves it, too", async () => {
  const { pair, before } = await makeMistake();
  const [restore, ...others] = blocksOf("Without one");
  expect(others).toEqual([]);
  await pair.shell(restore ?? "", before.time);
  expect(visits(join(pair.set.root, "patients-before.db"))).toEqual(["first", "second"]);
  expect(readFileSync(join(pair.set.root, "visit.sql"), "utf8")).toContain("second");
}, 60_000);
