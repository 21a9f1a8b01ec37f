/** `afterimage init` on a terminal, which python3's pty module is. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { fingerprint, startSshServer } from "../transport/ssh-server.ts";
import { PROGRAM } from "./afterimage.ts";

const TERMINAL = fileURLToPath(new URL("on-terminal.py", import.meta.url));
const ENTER = "\r";
const CTRL_C = "\x03";
/** In place of what stands there. */
const instead = (text: string) => `\x15${text}${ENTER}`;

type Step = readonly [expected: string, keys: string];

/** Runs `afterimage init` and answers its questions, in their order. */
function initOnTerminal(cwd: string, steps: readonly Step[]): Promise<{ code: number | null; shown: string }> {
  const { AFTERIMAGE_NODE: _, ...env } = process.env;
  const args = [TERMINAL, JSON.stringify(steps), process.execPath, PROGRAM, "init"];
  return new Promise((resolve) => {
    const child = execFile("python3", args, { cwd, env: { ...env, COLUMNS: "200" } }, (_error, stdout) => {
      resolve({ code: child.exitCode, shown: stdout });
    });
  });
}

function clinic(): { cwd: string; steps: Step[]; database: string } {
  const cwd = temporaryDirectory();
  const database = join(cwd, "patients.db");
  const db = new Database(database);
  db.exec("CREATE TABLE t (a)");
  db.close();
  const steps: Step[] = [
    ["Name of the mirror set", instead("clinic")],
    ["Name of the member whose databases", instead("lisbon")],
    ["Databases to mirror", ENTER],
    ["How do the others reach lisbon?", instead(`file://${cwd}/lisbon/mailbox`)],
    ["State directory of lisbon", instead(`${cwd}/lisbon/state`)],
    ["Name of a mirror", `lisbon${ENTER}`],
    ["There is a member of that name", instead("porto")],
    ["How do the others reach porto?", instead(`file://${cwd}/porto/mailbox`)],
    ["State directory of porto", instead(`${cwd}/porto/state`)],
    ["Where is the copy of patients.db on porto?", instead(`${cwd}/porto/patients.db`)],
    ["Is there another mirror?", ENTER],
    ["Which of them is this machine?", ENTER],
    ["Health checks, metrics and a page over HTTP", ENTER],
  ];
  return { cwd, steps, database };
}

function journalMode(path: string): unknown {
  const db = new Database(path, { readonly: true });
  try {
    return db.pragma("journal_mode", { simple: true });
  } finally {
    db.close();
  }
}

test("what is missing is asked for, a database is converted when that is agreed to, and the next command is shown", async () => {
  const { cwd, steps, database } = clinic();
  const { code, shown } = await initOnTerminal(cwd, [...steps, ["not in WAL mode. Convert now?", "y"]]);
  expect([code, shown]).toEqual([0, expect.not.stringContaining("NOT ASKED")]);
  const path = join(cwd, "afterimage.yaml");
  const { mirror, operational, members } = loadConfiguration(path);
  expect({ mirror, operational }).toEqual({ mirror: "clinic", operational: "lisbon" });
  expect([...members.values()].map(({ name, state, databases }) => [name, state, [...databases]])).toEqual([
    ["lisbon", join(cwd, "lisbon", "state"), [["patients", database]]],
    ["porto", join(cwd, "porto", "state"), [["patients", join(cwd, "porto", "patients.db")]]],
  ]);
  expect(journalMode(database)).toBe("wal");
  expect(existsSync(join(cwd, "lisbon", "state"))).toBe(true);
  expect(shown).toContain(`afterimage --config ${path} --node lisbon run`);
});

test("nothing is changed when a question is left with Ctrl-C, or the conversion is not agreed to", async () => {
  const { cwd, steps, database } = clinic();
  const left = await initOnTerminal(cwd, [...steps.slice(0, 4), ["State directory of lisbon", CTRL_C]]);
  expect(left).toEqual({ code: 3, shown: expect.stringContaining("error NOT_CONFIRMED: nothing was written") });
  const refused = await initOnTerminal(cwd, [...steps, ["not in WAL mode. Convert now?", ENTER]]);
  expect(refused).toEqual({ code: 3, shown: expect.stringContaining("error DATABASE_NOT_WAL: ") });
  expect(existsSync(join(cwd, "afterimage.yaml"))).toBe(false);
  expect(existsSync(join(cwd, "lisbon"))).toBe(false);
  expect(journalMode(database)).toBe("delete");
});

test("the host key of a mailbox is shown, and pinned once it was compared; one that cannot be asked is typed", async () => {
  const server = await startSshServer();
  const shownKey = fingerprint(join(server.keys, "host_ed25519"));
  const { user, host, port, path } = server.mailbox;
  const { cwd, steps } = clinic();
  const typed = `SHA256:${"A".repeat(43)}`;
  const answers = steps.flatMap((step): Step[] => {
    if (step[0].startsWith("How do the others reach lisbon"))
      return [
        [step[0], instead(`sftp://${user}@${host}:${port}${path}`)],
        [`shows ${shownKey}`, ""],
        ["Is it the same?", "y"],
      ];
    if (!step[0].startsWith("How do the others reach porto")) return [step];
    return [
      [step[0], instead("sftp://mirror@127.0.0.1:1/mailbox")],
      ["cannot be asked now", ""],
      ["Host key of porto", `nonsense${ENTER}`],
      ["It is SHA256: and 43 characters", instead(typed)],
    ];
  });
  const { code, shown } = await initOnTerminal(cwd, [...answers, ["not in WAL mode. Convert now?", "y"]]);
  expect([code, shown]).toEqual([0, expect.stringContaining("install.sh")]);
  const { members } = loadConfiguration(join(cwd, "afterimage.yaml"));
  expect([...members.values()].map(({ hostKey }) => hostKey)).toEqual([shownKey, typed]);
});
