/** File systems, ports, certificates and what other members say: each check in this process. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { pageSizes } from "../../src/doctor/check-databases.ts";
import { checkFileSystems, judgeFileSystem } from "../../src/doctor/check-file-systems.ts";
import { checkPageSizes, checkWayBack } from "../../src/doctor/check-peer-status.ts";
import { checkCertificate, checkPorts } from "../../src/doctor/check-ports.ts";
import type { Subject } from "../../src/doctor/subject.ts";
import { checkClock } from "../../src/member/heartbeat-clock.ts";
import type { MemberStatus } from "../../src/status/member-status.ts";
import { anError, mirrorFacts } from "../http/health-facts.ts";
import { mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { freePort } from "../transport/ssh-server.ts";

const DAY_MS = 86_400_000;

/** Porto, with a database, others by pattern, and these keys. */
function porto(keys: object = {}): Subject & { readonly root: string } {
  const root = temporaryDirectory();
  const member = (name: string) => ({
    mailbox: `file://${join(root, name, "mailbox")}`,
    state: join(root, name, "state"),
    databases: { shop: join(root, "shop.db"), "tenant-*": join(root, "tenants", "*.db") },
  });
  mkdirSync(join(root, "tenants"));
  const path = join(root, "afterimage.yaml");
  const members = { lisbon: member("lisbon"), porto: { ...member("porto"), ...keys } };
  writeFileSync(path, stringify({ mirror: "clinic", operational: "lisbon", members }));
  const configuration = loadConfiguration(path);
  const self = configuration.members.get("porto");
  if (self === undefined) throw new Error("no such member");
  return { root, configuration, member: self };
}

test.each([
  ["ext4", 0xef53, "OK"],
  ["tmpfs", 0x01021994, "OK"],
  ["NFS", 0x6969, "FAIL"],
  ["CIFS", 0xff534d42, "FAIL"],
  ["FUSE", 0x65735546, "WARN"],
])("a file system of the kind %s", (_, type, level) => {
  const result = judgeFileSystem("file system of database shop", "/data", type);
  expect(result).toMatchObject({ level, hint: level === "OK" ? null : expect.any(String) });
});

test("the file systems of everything are looked at, and whether the journal shares one with a database is said", () => {
  const subject = porto();
  const results = checkFileSystems(subject);
  expect(results.map(({ check, level }) => [check, level])).toEqual([
    ["file system of state directory", "OK"],
    ["file system of database shop", "OK"],
    ["file system of databases tenant-*", "OK"],
    ["journal and databases", "OK"],
  ]);
  expect(results.at(-1)?.message).toContain("on one file system with shop");
  mkdirSync(subject.member.state, { recursive: true });
  if (mountSmallFileSystem(1_000_000, subject.member.state) === null) return;
  expect(checkFileSystems(subject).at(-1)?.message).toBe("on different file systems");
});

test("a port must be free while no daemon runs, and an address this machine's", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const taken = server.address();
  if (taken === null || typeof taken === "string") throw new Error("it does not listen");
  const sftp = { mailbox: "sftp://mirror@porto/mailbox", hostKey: `SHA256:${"A".repeat(43)}` };
  const listen = { address: "192.0.2.1", port: await freePort(), authorizedKeysFile: "/keys" };
  expect(await checkPorts(porto({ ...sftp, http: { port: taken.port }, listen }))).toMatchObject([
    { check: "SFTP port", level: "FAIL", message: expect.stringContaining("EADDRNOTAVAIL"), hint: expect.any(String) },
    { check: "HTTP port", level: "FAIL", message: expect.stringContaining("EADDRINUSE"), hint: expect.any(String) },
  ]);
  const port = await freePort();
  expect(await checkPorts(porto({ http: { port } }))).toMatchObject([
    { check: "HTTP port", level: "OK", message: `127.0.0.1:${port} is free` },
  ]);
  expect(await checkPorts(porto())).toEqual([]);
});

test("while the daemon runs its port must answer", async () => {
  const port = await freePort();
  const subject = porto({ http: { port } });
  mkdirSync(subject.member.state, { recursive: true });
  const daemon = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => daemon.listen(join(subject.member.state, "control.sock"), resolve));
  onTestFinished(() => void daemon.close());
  expect(await checkPorts(subject)).toMatchObject([
    { level: "FAIL", message: expect.stringContaining("ECONNREFUSED") },
  ]);
  const http = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  onTestFinished(() => void http.close());
  expect(await checkPorts(subject)).toMatchObject([{ level: "OK", message: `127.0.0.1:${port} is listened on` }]);
});

test("a certificate that ends soon is a warning; one that has ended, or is none, fails", () => {
  const root = temporaryDirectory();
  const files = { certificate: join(root, "cert.pem"), key: join(root, "key.pem") };
  const request = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-subj",
    "/CN=porto",
  ];
  execFileSync("openssl", [...request, "-days", "90", "-keyout", files.key, "-out", files.certificate], {
    stdio: "ignore",
  });
  const inDays = (days: number) => checkCertificate(files, Date.now() + days * DAY_MS).level;
  expect([inDays(1), inDays(80), inDays(91)]).toEqual(["OK", "WARN", "FAIL"]);
  chmodSync(files.key, 0o644);
  expect(checkCertificate(files, Date.now())).toMatchObject({
    level: "FAIL",
    hint: expect.stringContaining("chmod o-r"),
  });
  chmodSync(files.key, 0o640);
  writeFileSync(files.certificate, "nonsense");
  expect(checkCertificate(files, Date.now())).toMatchObject({
    level: "FAIL",
    message: expect.stringMatching(/^HTTP_TLS_INVALID: /),
    hint: expect.any(String),
  });
});

test("the way back is as the other member says that ships here, or follows", () => {
  const follower = { via: null, reachable: true, heartbeat: null, error: null, databases: {} };
  const shipping = (more: object) =>
    mirrorFacts({ status: { member: "lisbon", follows: null, followers: { porto: { ...follower, ...more } } } }).status;
  const following = (state: string) => mirrorFacts({ status: { member: "faro", follows: "porto", state } }).status;
  const levels = (status: MemberStatus) => checkWayBack(status, "porto").map(({ level }) => level);
  expect(levels(shipping({}))).toEqual(["OK"]);
  expect(levels(shipping({ reachable: false }))).toEqual(["WARN"]);
  expect(levels(shipping({ error: anError("HOST_KEY_CHANGED") }))).toEqual(["FAIL"]);
  expect(levels(shipping({ via: "coimbra" }))).toEqual([]);
  expect(levels(following("connected"))).toEqual(["OK"]);
  expect(levels(following("waiting"))).toEqual(["WARN"]);
});

test("page sizes are compared where both have the database", () => {
  const subject = porto();
  for (const [file, size] of [
    ["shop.db", 8192],
    ["tenants/ana.db", 4096],
  ] as const) {
    const database = new Database(join(subject.root, file));
    database.pragma(`page_size = ${size}`);
    database.exec("CREATE TABLE t (a)");
    database.close();
  }
  const here = pageSizes(subject);
  expect([...here]).toEqual([
    ["shop", 8192],
    ["tenant-ana", 4096],
  ]);
  const other = (pageSize: number | null) =>
    mirrorFacts({ databases: { shop: { pageSize }, other: { pageSize: 512 } }, status: { member: "lisbon" } }).status;
  expect(checkPageSizes(other(4096), here)).toMatchObject([
    { level: "FAIL", message: "shop has 4096 bytes there and 8192 here", hint: expect.stringContaining("rebuild") },
  ]);
  expect(checkPageSizes(other(8192), here)).toMatchObject([{ level: "OK" }]);
  expect(checkPageSizes(other(null), here)).toEqual([]);
});

test("a clock that is far off is a warning", () => {
  const reading = (writtenMs: number) => ({ writtenMs, beforeMs: 0, afterMs: 200 });
  expect(checkClock("clock of lisbon", reading(29_000)).level).toBe("OK");
  expect(checkClock("clock of lisbon", reading(31_000))).toMatchObject({ level: "WARN", hint: expect.any(String) });
  expect(checkClock("clock of lisbon", reading(-31_000)).level).toBe("WARN");
});
