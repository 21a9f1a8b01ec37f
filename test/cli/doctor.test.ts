/** `afterimage doctor` as a process: a set that ships by SFTP, and host keys of servers. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { startSftpDaemons } from "../../src/demo/sftp-mailboxes.ts";
import { createEntries } from "../support/entries.ts";
import { createSet, killDaemon, MIRROR, OPERATIONAL, PAIR, untilReadable, untilSet } from "../support/mirror-set.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { fingerprint, freePort, generateKey, type SshServer, startSshServer } from "../transport/ssh-server.ts";
import { afterimage, type Ended } from "./afterimage.ts";

const OTHER_KEY = `SHA256:${"A".repeat(43)}`;

/** The working directory is the home too, so that the user's own list of known hosts is not looked into. */
function doctor(cwd: string, ...args: string[]): Promise<Ended> {
  return afterimage(["doctor", ...args], { cwd, environment: { HOME: cwd } });
}

/** A configuration whose member porto is behind the server. */
function configurationFor(server: SshServer, porto: Record<string, unknown>): string {
  const cwd = temporaryDirectory();
  const { user, host, port, path } = server.mailbox;
  const members = {
    lisbon: { mailbox: `file://${cwd}/lisbon`, state: "/nowhere/lisbon", databases: { shop: "/d/shop.db" } },
    porto: {
      mailbox: `sftp://${user}@${host}:${port}${path}`,
      state: "/nowhere/porto",
      databases: { shop: "/d/shop.db" },
      ...porto,
    },
  };
  writeFileSync(join(cwd, "afterimage.yaml"), stringify({ mirror: "clinic", operational: "lisbon", members }));
  return cwd;
}

describe("--show-host-key", () => {
  test("shows a machine's key before there is a configuration, and how to compare it", async () => {
    const server = await startSshServer();
    const shown = fingerprint(join(server.keys, "host_ed25519"));
    const { host, port } = server.mailbox;
    const { code, stdout, stderr } = await doctor(temporaryDirectory(), "--show-host-key", `${host}:${port}`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n").slice(0, 3)).toEqual([
      `${host}:${port} shows a host key of type ssh-ed25519:`,
      `  hostKey: ${shown}`,
      "It is not pinned.",
    ]);
    expect(stdout).toContain("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
  });

  test("says whether a member's key is the pinned one, and ends with 3 when it is another", async () => {
    const server = await startSshServer({ hostKeys: ["ed25519", "rsa"] });
    const hostKey = fingerprint(join(server.keys, "host_rsa"));
    const same = await doctor(configurationFor(server, { hostKey }), "--show-host-key", "porto", "--json");
    expect(same.code).toBe(0);
    expect(JSON.parse(same.stdout)).toEqual({
      member: "porto",
      host: "127.0.0.1",
      port: server.mailbox.port,
      type: "ssh-rsa",
      fingerprint: hostKey,
      line: `hostKey: ${hostKey}`,
      verdict: "pinned",
      message: "It is the key that is pinned for porto.",
      compare: "ssh-keygen -lf /etc/ssh/ssh_host_rsa_key.pub",
    });
    const other = await doctor(configurationFor(server, { hostKey: OTHER_KEY }), "--show-host-key", "porto");
    expect(other.code).toBe(3);
    expect(other.stdout).toContain(`IT IS ANOTHER KEY: 127.0.0.1:${server.mailbox.port} shows the host key `);
    expect(other.stdout).toContain(`${OTHER_KEY} is pinned`);
  });

  test("works with a configuration that lacks just this host key", async () => {
    const server = await startSshServer();
    const { code, stdout } = await doctor(configurationFor(server, {}), "--show-host-key", "porto", "--json");
    expect(code).toBe(0);
    const shown = fingerprint(join(server.keys, "host_ed25519"));
    expect(JSON.parse(stdout)).toMatchObject({ member: "porto", fingerprint: shown, verdict: "unknown" });
  });

  test("looks into the user's list of known hosts", async () => {
    const server = await startSshServer();
    const home = temporaryDirectory();
    const { host, port } = server.mailbox;
    const [type, key] = readFileSync(join(server.keys, "host_ed25519.pub"), "utf8").split(" ");
    generateKey(join(home, "other"));
    const [, otherKey] = readFileSync(join(home, "other.pub"), "utf8").split(" ");
    mkdirSync(join(home, ".ssh"));
    const withList = async (line: string) => {
      writeFileSync(join(home, ".ssh", "known_hosts"), line);
      return await doctor(home, "--show-host-key", `[${host}]:${port}`, "--json");
    };
    const listed = await withList(`[${host}]:${port} ${type} ${key}\n`);
    expect([listed.code, JSON.parse(listed.stdout).verdict]).toEqual([0, "listed"]);
    const changed = await withList(`[${host}]:${port} ${type} ${otherKey}\n`);
    expect([changed.code, JSON.parse(changed.stdout).verdict]).toEqual([3, "changed"]);
  });

  test("ends with 6 when nobody answers, and with 2 when it is no member and no machine", async () => {
    const cwd = temporaryDirectory();
    const refused = await doctor(cwd, "--show-host-key", `127.0.0.1:${await freePort()}`);
    expect(refused).toMatchObject({ code: 6, stderr: expect.stringContaining("error CONNECTION_REFUSED: ") });
    for (const nonsense of ["a b", "user@host", "host:99999", "host:0", ""]) {
      const { code, stderr } = await doctor(cwd, "--show-host-key", nonsense);
      expect([nonsense, code, stderr]).toEqual([nonsense, 2, expect.stringContaining("error URL_INVALID: ")]);
    }
  });

  test("asks back when a name is almost a member's, and refuses a mailbox in a directory", async () => {
    const server = await startSshServer();
    const cwd = configurationFor(server, { hostKey: OTHER_KEY });
    const slip = await doctor(cwd, "--show-host-key", "prto");
    expect(slip).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean porto?") });
    const directory = await doctor(cwd, "--show-host-key", "lisbon");
    expect(directory).toMatchObject({ code: 2, stderr: expect.stringContaining("is not reached by SFTP") });
  });
});

describe("a member of a set that ships by SFTP", () => {
  test("is fit while all run, and told what is wrong when not", async () => {
    const set = createSet(PAIR);
    createEntries(set.databasePath(OPERATIONAL));
    await startSftpDaemons(set, (what, condition) => untilSet(set, what, condition).then(() => undefined));
    await untilReadable(set, MIRROR);
    await untilSet(set, "the mirror hears its upstream", () => set.status(MIRROR)?.state === "connected");
    const run = (...args: string[]) => doctor(set.root, "--config", set.configPath, "--node", OPERATIONAL, ...args);

    const good = await run("--json");
    expect(good).toMatchObject({ code: 0, stderr: "" });
    const { level, checks } = JSON.parse(good.stdout);
    const names = checks.map(({ check }: { check: string }) => check);
    expect({ level, names }).toMatchObject({
      level: "OK",
      names: expect.arrayContaining(["configuration", `mailbox of ${MIRROR}`, `SFTP server of ${MIRROR}`]),
    });
    const messageOf = (wanted: string) => checks.find(({ check }: { check: string }) => check === wanted)?.message;
    expect(messageOf(`daemon of ${MIRROR}`)).toBe("it runs");
    expect(messageOf(`clock of ${MIRROR}`)).toMatch(/^its clock is /);
    expect(messageOf(`way from ${MIRROR}`)).toBe("it follows this member, and hears it");
    expect(messageOf(`page sizes of ${MIRROR}`)).toBe("the same as here");
    expect(messageOf("SFTP port")).toMatch(/ is listened on$/);
    expect(await run("--nagios")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^AFTERIMAGE OK - (\d+) of \1 checks good\n$/),
    });

    const key = await run("--show-host-key", MIRROR, "--json");
    const keyFile = join(set.statePath(MIRROR), "ssh_host_ed25519_key");
    expect(JSON.parse(key.stdout)).toMatchObject({
      verdict: "pinned",
      fingerprint: fingerprint(keyFile),
      compare: `ssh-keygen -lf ${keyFile}`,
    });

    const database = new Database(join(set.root, "plain.db"));
    database.exec("CREATE TABLE t (a)");
    database.close();
    const text = readFileSync(set.configPath, "utf8");
    writeFileSync(set.configPath, text.replaceAll(set.databasePath(OPERATIONAL), join(set.root, "plain.db")));
    const mirror = set.daemon(MIRROR);
    if (mirror === null) throw new Error("no daemon");
    await killDaemon(mirror);
    const bad = await run();
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(/^FAIL {2}database shop: .* is not in WAL mode\n {6}next: Convert it with /m);
    expect(bad.stdout).toMatch(/^FAIL {2}mailbox of porto: CONNECTION_REFUSED: /m);
    expect(await run("--nagios")).toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/^AFTERIMAGE CRITICAL - .*; database shop: .*; mailbox of porto: .*\n$/),
    });
  });

  test("whose configuration has faults is told the first, and still its versions", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "afterimage.yaml"), "mirror: clinic\nsurplus: 1\n");
    const { code, stdout } = await doctor(cwd);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAIL {2}configuration: .*afterimage\.yaml:\d+:\d+: KEY_/);
    expect(stdout).toMatch(/^OK {4}Node: /m);
    expect(await doctor(cwd, "--nagios")).toMatchObject({ code: 2 });
  });
});
