/** The situations of docs/RUNBOOK.md: each is brought about, and answered by the commands of the page. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import type { DemoMember } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { RunbookMachines, SITUATIONS } from "../support/runbook.ts";

const MEMBERS: readonly DemoMember[] = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
  { member: "faro", follows: "porto" },
];
const LIMIT_MS = 180_000;
/** What a killed member has left in a mailbox keeps others out of it for half a minute. */
const STALLED_AFTER_MS = 60_000;
const PAGE_BYTES = 4096;
/** Of the image; counted from 0. */
const IMAGE_PAGE = 60;
/** Inverts a bit; from another process, because closing a descriptor here would drop SQLite's locks. */
const FLIP = `
import os, sys
times = (os.stat(sys.argv[1]).st_atime_ns, os.stat(sys.argv[1]).st_mtime_ns)
with open(sys.argv[1], "r+b", buffering=0) as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 4]))
os.utime(sys.argv[1], ns=times)
`;

class Scene extends RunbookMachines {
  readonly #steps: ReturnType<typeof SITUATIONS.get>;
  #taken = 0;

  constructor(situation: string) {
    super(MEMBERS);
    this.#steps = SITUATIONS.get(situation);
    onTestFinished(async () => void (await this.set.stopDaemons()));
  }

  /** Three daemons, level, with two visits. The image's pages are in the files, and not in the WAL. */
  async begin(): Promise<void> {
    this.write("lisbon", "PRAGMA journal_mode = WAL; CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT)");
    this.write("lisbon", "CREATE TABLE scan (image BLOB); INSERT INTO scan VALUES (randomblob(400000))");
    this.write("lisbon", "INSERT INTO visit (note) VALUES ('first')");
    for (const { member } of MEMBERS) this.set.startDaemon(member);
    await this.untilShown("first");
    this.write("lisbon", "INSERT INTO visit (note) VALUES ('second')");
    await this.untilShown("second");
  }

  /** Takes the next steps of the page, as many as are named by how their commands begin. */
  async next(...beginnings: string[]): Promise<string> {
    let printed = "";
    for (const beginning of beginnings) {
      const step = this.#steps?.[this.#taken++];
      expect(step?.commands).toMatch(new RegExp(`^${beginning}`));
      if (step !== undefined) printed = await this.take(step);
    }
    return printed;
  }

  /** Nothing of the page may be left. */
  end(): void {
    expect(this.#steps?.slice(this.#taken)).toEqual([]);
  }

  write(member: string, sql: string): void {
    const database = new Database(this.set.databasePath(member), { timeout: 5_000 });
    try {
      database.exec(sql);
    } finally {
      database.close();
    }
  }

  /** What the writer has committed stays in the WAL, because it does not live to close the database. */
  writeAndDie(member: string, notes: readonly string[]): void {
    const script = `
      const db = new (require("better-sqlite3"))(process.argv[1]);
      for (const note of process.argv.slice(2)) db.prepare("INSERT INTO visit (note) VALUES (?)").run(note);
      process.kill(process.pid, "SIGKILL");
    `;
    const { signal } = spawnSync(process.execPath, ["-e", script, this.set.databasePath(member), ...notes]);
    expect(signal).toBe("SIGKILL");
  }

  notes(member: string, path = this.set.databasePath(member)): string[] {
    if (!existsSync(path)) return [];
    const database = new Database(path, { readonly: true, timeout: 5_000 });
    try {
      return database.prepare<[], string>("SELECT note FROM visit ORDER BY id").pluck().all();
    } catch {
      return [];
    } finally {
      database.close();
    }
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    await waitUntil(condition, { what, stalledAfterMs: STALLED_AFTER_MS, progress: () => this.set.progress() });
  }

  /** Waits until every member, or these, shows the visit as its last, and is level. */
  async untilShown(note: string, members = MEMBERS.map(({ member }) => member)): Promise<void> {
    for (const member of members) {
      await this.until(`${member} shows ${note}`, () => this.notes(member).at(-1) === note);
      if (member !== this.set.operational) await this.until("it is level", () => this.set.isCaughtUp(member));
    }
  }

  /** The member is operational by its own word. */
  async untilReigning(member: string): Promise<void> {
    await this.until(`${member} is operational`, () => this.set.status(member)?.state === "operational");
    this.set.takeOver(member);
  }
}

const PLAYED: string[] = [];

function scene(situation: string, play: (scene: Scene) => Promise<void>): void {
  PLAYED.push(situation);
  test(
    situation,
    async () => {
      const scene = new Scene(situation);
      await scene.begin();
      await play(scene);
      scene.end();
    },
    LIMIT_MS,
  );
}

scene("Where things stand", async (s) => {
  await s.next("afterimage status", "afterimage check", "afterimage whois-operational");
});

scene("Service of the operational machine", async (s) => {
  await s.next("afterimage validate", "afterimage switchover");
  s.set.takeOver("porto");
  expect(() => s.write("lisbon", "INSERT INTO visit (note) VALUES ('refused')")).toThrow(/readonly/);
  s.write("porto", "INSERT INTO visit (note) VALUES ('third')");
  await s.next("sudo systemctl stop");
  await s.untilShown("third");
  await s.next("afterimage switchover");
  s.set.takeOver("lisbon");
  s.write("lisbon", "INSERT INTO visit (note) VALUES ('fourth')");
  await s.untilShown("fourth");
});

scene("Service of a mirror", async (s) => {
  s.write("lisbon", "INSERT INTO visit (note) VALUES ('third')");
  await s.next("sudo systemctl stop");
  await s.next("afterimage sync");
  expect(s.notes("porto")).toEqual(["first", "second", "third"]);
});

scene("The operational machine is lost, and its disk can be read", async (s) => {
  await s.set.killDaemon("lisbon");
  s.writeAndDie("lisbon", ["third", "fourth", "fifth"]);
  s.mount("lisbon");
  await s.next("afterimage salvage", "afterimage salvage", "afterimage promote");
  await s.untilReigning("porto");
  expect(s.notes("porto")).toEqual(["first", "second", "third", "fourth", "fifth"]);
  s.write("porto", "INSERT INTO visit (note) VALUES ('sixth')");
  await s.untilShown("sixth", ["porto", "faro"]);
});

scene("The operational machine is lost with its disk", async (s) => {
  await s.set.killDaemon("lisbon");
  await s.next("afterimage promote", "afterimage promote");
  await s.untilReigning("porto");
  s.write("porto", "INSERT INTO visit (note) VALUES ('third')");
  await s.untilShown("third", ["porto", "faro"]);
});

scene("The old operational machine comes back", async (s) => {
  await s.set.killDaemon("lisbon");
  s.write("lisbon", "INSERT INTO visit (note) VALUES ('third')");
  await s.run("porto", "afterimage promote");
  await s.untilReigning("porto");
  s.write("porto", "INSERT INTO visit (note) VALUES ('other third')");
  await s.next("sudo systemctl start", "afterimage rejoin", "afterimage rejoin", "cat");
  expect(s.notes("lisbon", join(s.set.root, "lost.db"))).toEqual(["first", "second", "third"]);
  await s.untilShown("other third");
});

scene("The operational machine runs, and the others cannot reach it", async (s) => {
  await s.next("afterimage demote", "afterimage promote");
  await s.untilReigning("porto");
  s.write("porto", "INSERT INTO visit (note) VALUES ('third')");
  await s.untilShown("third");
});

scene("Everything was switched off", async (s) => {
  await Promise.all(MEMBERS.map(({ member }) => s.set.killDaemon(member)));
  await s.next("afterimage whois-operational", "sudo", "sudo", "sudo");
  await s.untilReigning("lisbon");
  s.write("lisbon", "INSERT INTO visit (note) VALUES ('third')");
  await s.untilShown("third");
});

scene("A mirror's copy is damaged", async (s) => {
  execFileSync("python3", ["-c", FLIP, s.set.databasePath("porto"), String(IMAGE_PAGE * PAGE_BYTES + 2000)]);
  await s.next("afterimage verify", "afterimage rebuild", "afterimage verify");
});

scene("A mirror-mirror has lost its upstream", async (s) => {
  await s.set.killDaemon("porto");
  await s.next("sed", "afterimage reload");
  s.write("lisbon", "INSERT INTO visit (note) VALUES ('third')");
  await s.untilShown("third", ["lisbon", "faro"]);
});

scene("Nobody may write for a while", async (s) => {
  await s.next("afterimage fence");
  expect(() => s.write("lisbon", "INSERT INTO visit (note) VALUES ('refused')")).toThrow(/readonly/);
  await s.next("afterimage unfence");
  s.write("lisbon", "INSERT INTO visit (note) VALUES ('third')");
  await s.untilShown("third");
});

scene("Would a promotion work?", async (s) => {
  await s.next("afterimage drill");
  expect(existsSync(join(s.set.statePath("porto"), "drill-porto"))).toBe(false);
  s.write("lisbon", "INSERT INTO visit (note) VALUES ('third')");
  await s.untilShown("third");
});

test("every situation that has commands is played here", () => {
  const withSteps = [...SITUATIONS].filter(([, steps]) => steps.length > 0).map(([situation]) => situation);
  expect(PLAYED).toEqual(withSteps);
});
