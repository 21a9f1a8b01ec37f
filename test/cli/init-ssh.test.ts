/** `afterimage init` for members behind SSH: keys, host keys, who may log in, and whether the way works. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { fingerprint, generateKey, type SshServer, startSshServer } from "../transport/ssh-server.ts";
import { afterimage } from "./afterimage.ts";

function shop(): { readonly cwd: string; readonly database: string } {
  const cwd = temporaryDirectory();
  const database = join(cwd, "shop.db");
  const db = new Database(database);
  db.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
  db.close();
  return { cwd, database };
}

/** Lisbon here, and porto behind a real sshd. */
function flags({ cwd, database }: { cwd: string; database: string }, { mailbox }: SshServer): string[] {
  const { user, host, port, path } = mailbox;
  return [
    ...["init", "--mirror", "clinic", "--operational", "lisbon", "--node", "lisbon"],
    ...["--member", `lisbon=file://${cwd}/lisbon/mailbox`, "--state", `lisbon=${cwd}/lisbon/state`],
    ...["--member", `porto=sftp://${user}@${host}:${port}${path}`, "--state", `porto=${cwd}/porto/state`],
    ...["--database", `lisbon:shop=${database}`, "--database", `porto:shop=${cwd}/porto/shop.db`],
  ];
}

test("host keys are pinned as the servers show them, a key is made once, and the way is tried", async () => {
  const server = await startSshServer();
  const place = shop();
  const { cwd } = place;
  const line = [...flags(place, server), "--pin-host-keys", "--json"];
  const done = await afterimage(line, { cwd });
  expect(done).toMatchObject({ code: 0, stderr: "" });
  const report = JSON.parse(done.stdout);
  const shown = fingerprint(join(server.keys, "host_ed25519"));
  expect(report.pinned).toMatchObject([{ member: "porto", type: "ssh-ed25519", fingerprint: shown }]);
  const path = join(cwd, "lisbon", "state", "id_ed25519");
  expect(report.key).toEqual({ path, made: true, publicKey: expect.stringMatching(/^ssh-ed25519 AAAA\S+$/) });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(execFileSync("ssh-keygen", ["-yf", path], { encoding: "utf8" })).toContain(report.key.publicKey);
  expect(report.connections).toMatchObject([
    { member: "porto", done: [], failed: { step: "log in and list", code: "LOGIN_REFUSED" } },
  ]);
  expect(JSON.stringify(report.next)).toContain(`--node porto init --authorize 'lisbon=${report.key.publicKey}'`);

  writeFileSync(join(server.keys, "authorized_keys"), `${report.key.publicKey}\n`);
  const again = JSON.parse((await afterimage(["init", "--node", "lisbon", "--json"], { cwd })).stdout);
  expect(again).toMatchObject({ written: false, key: { made: false, publicKey: report.key.publicKey } });
  const everything = ["log in and list", "write and rename", "read back", "remove"];
  expect(again.connections).toMatchObject([{ member: "porto", done: everything, failed: null }]);
  expect(readdirSync(join(server.directory, "inbox"))).toEqual([]);
});

test("what fails on the way is said by its step, with what to do", async () => {
  const server = await startSshServer();
  const place = shop();
  const { cwd } = place;
  // Logging in works, and writing does not.
  execFileSync("chown", ["root:", server.directory]);
  const line = [...flags(place, server), "--pin-host-keys", "--identity", join(server.keys, "identity")];
  const { stdout } = await afterimage(line, { cwd });
  expect(stdout).toMatch(
    /^WARN {2}way to porto: not yet: cannot write and rename: TARGET_DENIED: .*; it could log in/m,
  );
  expect(stdout).toContain("next: Give the user in the `mailbox` URL permission to write");
});

test("a host key that nobody has given or agreed to is not pinned", async () => {
  const server = await startSshServer();
  const place = shop();
  const { code, stderr } = await afterimage(flags(place, server), { cwd: place.cwd });
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining("the host keys of porto are not pinned"),
  });
  expect(existsSync(join(place.cwd, "afterimage.yaml"))).toBe(false);
});

test("members are given by their hosts alone, in the account of whoever runs it or in one that OpenSSH confines", async () => {
  const { cwd, database } = shop();
  const key = `SHA256:${"A".repeat(43)}`;
  const members = ["lisbon", "porto"].flatMap((name) => [
    "--member",
    `${name}=${name}.example`,
    "--host-key",
    `${name}=${key}`,
  ]);
  const line = ["init", "--mirror", "clinic", "--operational", "lisbon", "--database", `shop=${database}`, ...members];
  expect((await afterimage([...line, "--output", "own.yaml", "--http"], { cwd })).code).toBe(0);
  const own = loadConfiguration(join(cwd, "own.yaml"));
  const { username } = userInfo();
  expect(own.members.get("porto")?.mailbox).toMatch(
    new RegExp(`^sftp://${username}@porto\\.example/.+/afterimage-mailbox$`),
  );
  expect(own.members.get("porto")?.http).toMatchObject({ address: "127.0.0.1", port: 8008 });
  expect((await afterimage([...line, "--output", "confined.yaml", "--account", "mirror"], { cwd })).code).toBe(0);
  const confined = loadConfiguration(join(cwd, "confined.yaml"));
  expect(confined.members.get("porto")).toMatchObject({
    mailbox: "sftp://mirror@porto.example/mailbox",
    directory: "/srv/afterimage/mailbox",
    state: "/var/lib/afterimage",
    http: null,
  });
  expect(confined.ssh.identity).toBe("/var/lib/afterimage/id_ed25519");
});

/** Lisbon with the daemon's own server, whose keys are in a file. */
function served(): { readonly cwd: string; readonly keys: string; readonly key: string } {
  const { cwd, database } = shop();
  const keys = join(cwd, "authorized_keys");
  const hostKey = `SHA256:${"A".repeat(43)}`;
  const member = (name: string, more: object) => ({
    ...{ mailbox: `sftp://mirror@127.0.0.1:1/${name}`, hostKey, directory: join(cwd, name, "mailbox") },
    ...{ state: join(cwd, name, "state"), databases: { shop: name === "lisbon" ? database : join(cwd, "copy.db") } },
    ...more,
  });
  const members = {
    lisbon: member("lisbon", { listen: { port: 1, authorizedKeysFile: keys } }),
    porto: { ...member("porto", {}), mailbox: "sftp://mirror@127.0.0.1:2/porto" },
  };
  const ssh = { identity: join(cwd, "key") };
  writeFileSync(join(cwd, "afterimage.yaml"), stringify({ mirror: "clinic", operational: "lisbon", ssh, members }));
  generateKey(join(cwd, "other"));
  return { cwd, keys, key: readFileSync(join(cwd, "other.pub"), "utf8").trim() };
}

test("another member's key is let in once, where the member takes its keys from, and nobody's line is changed", async () => {
  const { cwd, keys, key } = served();
  writeFileSync(keys, "# mine, without a line end");
  const line = ["init", "--node", "lisbon", "--authorize", `porto=${key}`, "--json"];
  expect(JSON.parse((await afterimage(line, { cwd })).stdout).admitted).toEqual(["porto"]);
  expect(JSON.parse((await afterimage(line, { cwd })).stdout).admitted).toEqual([]);
  const base64 = key.split(" ")[1];
  expect(readFileSync(keys, "utf8")).toBe(`# mine, without a line end\nssh-ed25519 ${base64} porto of clinic\n`);
});

test.each([
  ["no key", (_: string) => "porto=nonsense", "is no public key"],
  ["a key with options", (key: string) => `porto=restrict ${key}`, "is no public key"],
  ["this member's own", (key: string) => `lisbon=${key}`, "lisbon is no other member"],
  ["an unknown member's", (key: string) => `faro=${key}`, "faro is no other member"],
])("%s is not let in", async (_, value, message) => {
  const { cwd, keys, key } = served();
  const { code, stderr } = await afterimage(["init", "--node", "lisbon", "--authorize", value(key)], { cwd });
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  expect([existsSync(keys), existsSync(join(cwd, "lisbon"))]).toEqual([false, false]);
});

test("with a configuration it must be said which member a machine is, and without one nobody is let in", async () => {
  const { cwd, key } = served();
  const nobody = await afterimage(["init"], { cwd });
  expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining("one of lisbon, porto") });
  const elsewhere = await afterimage(["init", "--node", "lisbon", "--authorize", `porto=${key}`], {
    cwd: temporaryDirectory(),
  });
  expect(elsewhere).toMatchObject({ code: 2, stderr: expect.stringContaining("error FILE_MISSING: ") });
  const unused = await afterimage(["init", "--node", "lisbon", "--pin-host-keys"], { cwd });
  expect(unused).toMatchObject({ code: 2, stderr: expect.stringContaining("--pin-host-keys is for a new config") });
  expect((await afterimage(["init", "--node", "lisbon"], { cwd })).code).toBe(0);
  // From now on the machine knows.
  const { stdout } = await afterimage(["doctor"], { cwd });
  expect(stdout).toContain("this is lisbon");
});

test("the unit is filled in with this machine's member, user, paths and program", async () => {
  const { cwd } = served();
  const done = await afterimage(["init", "--node", "lisbon", "--json"], { cwd });
  expect(done).toMatchObject({ code: 0, stderr: "" });
  const { files } = JSON.parse(done.stdout);
  const unit = join(cwd, "afterimage-lisbon", "afterimage.service");
  expect(files).toEqual([unit]);
  const text = readFileSync(unit, "utf8");
  expect(text).toContain("Environment=AFTERIMAGE_NODE=lisbon\n");
  expect(text).toContain(`User=${userInfo().username}\n`);
  expect(text).toContain(`ReadWritePaths=${join(cwd, "lisbon", "state")} ${join(cwd, "lisbon", "mailbox")} ${cwd}\n`);
  expect(text).toMatch(
    new RegExp(`^ExecStart=${process.execPath} \\S+ --config ${join(cwd, "afterimage.yaml")} run$`, "m"),
  );
  expect(text).not.toMatch(/\/etc\/afterimage\.yaml|^StateDirectory/m);
});
