/** Who is told of alerts, how often, and by whom it can be seen to be sent; with servers that fail, and daemons that are killed. */
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { noticeSchema } from "../../src/alerts/alert-notice.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { type MemberStatus, parseMemberStatus } from "../../src/status/member-status.ts";
import { program } from "../hooks/hook-program.ts";
import { mailReceiver, type ReceivedRequest, webReceiver } from "../support/alert-receivers.ts";
import { alertHistory, openAlerting, serveAlerting, writeAlerting } from "../support/alerting.ts";
import { addVisits, CLINIC, createClinic, databasePath } from "../support/members.ts";
import { until } from "../support/served-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/afterimage", import.meta.url));
const SECRET = "porto says so";
/** porto hears nothing, because nobody serves lisbon: the cause of all alerts here. */
const SILENCE = { upstreamSilent: "1s" };
/** What is to be told of it. */
const RAISED = { kind: "raised", alert: "UPSTREAM_SILENT", level: "error", mirror: "clinic", member: "porto" };

function createSet(): string {
  const root = temporaryDirectory();
  const clinic = createClinic(databasePath(root, "lisbon"));
  addVisits(clinic, 3);
  clinic.close();
  return root;
}

function noticeIn({ body }: Pick<ReceivedRequest, "body">) {
  return noticeSchema.parse(JSON.parse(body));
}

/** As a receiver does it, by the words of docs/ALERTS.md alone. */
function isSigned({ headers, body }: ReceivedRequest): boolean {
  const [, time = "", hmac = ""] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["afterimage-signature"])) ?? [];
  const isFresh = Math.abs(Date.now() / 1000 - Number(time)) < 300;
  return isFresh && createHmac("sha256", SECRET).update(`${time}.${body}`).digest("hex") === hmac;
}

function secretFile(root: string): string {
  const path = join(root, "secret");
  writeFileSync(path, `${SECRET}\n`, { mode: 0o600 });
  return path;
}

test("a webhook that fails first is told once by a daemon that is killed meanwhile, and again when it is over", async () => {
  const root = createSet();
  const receiver = await webReceiver(503);
  const webhook = { url: `${receiver.url}/hook?key=1`, secretFile: secretFile(root), timeLimit: "5s" };
  const path = writeAlerting(root, { alerts: { ...SILENCE, upstreamSilent: "8s", webhook } });
  const start = (member: string) => {
    const args = [PROGRAM, "run", "--config", path, "--node", member];
    const daemon = ManagedProcess.start(member, process.execPath, args, join(root, `${member}.log`));
    onTestFinished(async () => {
      daemon.kill("SIGKILL");
      await daemon.exited;
    });
    return daemon;
  };
  const killed = start("porto");
  await until("it is tried twice", () => receiver.requests.length >= 2);
  killed.kill("SIGKILL");
  await killed.exited;
  const porto = start("porto");
  const before = receiver.requests.length;
  await until("it is tried again", () => receiver.requests.length > before);
  receiver.answer = 204;
  const taken = () => receiver.requests.filter(({ status }) => status === 204);
  await until("it is taken", () => taken().length > 0);
  start("lisbon");
  await until("that it is over is told", () => taken().some((request) => noticeIn(request).kind === "cleared"));
  porto.kill("SIGTERM");
  await porto.exited;

  const notices = taken().map(noticeIn);
  expect(notices).toMatchObject([RAISED, { ...RAISED, kind: "cleared" }]);
  const [raised, cleared] = notices.map(({ id }) => id);
  expect(raised?.replace(/raised$/, "cleared")).toBe(cleared);
  // Each attempt, also those before the kill, was of one of the two.
  expect(new Set(receiver.requests.map((request) => noticeIn(request).id))).toEqual(new Set([raised, cleared]));
  expect(receiver.requests.every(isSigned)).toBe(true);
  expect(receiver.requests.map(({ headers }) => headers["afterimage-id"])).toEqual(
    receiver.requests.map((request) => noticeIn(request).id),
  );
  await using stopped = await openAlerting(root, "porto", { alerts: {} });
  expect(alertHistory(stopped)).toEqual(["RAISED UPSTREAM_SILENT", "CLEARED UPSTREAM_SILENT"]);
  expect(stopped.context.store.alerts.first("webhook")).toBeNull();
  const log = readFileSync(join(root, "porto.log"), "utf8");
  expect(log).toContain("ALERT_UNDELIVERED");
  expect(log).not.toContain("key=1");
}, 120_000);

test("a webhook that redirects or does not answer in time has not taken it", async () => {
  const root = createSet();
  const receiver = await webReceiver(307);
  const webhook = { url: receiver.url, timeLimit: "1s" };
  const porto = await serveAlerting(root, "porto", { alerts: { ...SILENCE, webhook } });
  const failures = () =>
    porto.member.context.store
      .events({ code: "ALERT_UNDELIVERED" })
      .map(({ data }) => (data as { error: string }).error);
  await until("it is redirected", () => failures().includes("ALERT_REFUSED"));
  receiver.answer = "hang";
  await until("it hangs", () => failures().includes("ALERT_UNREACHABLE"));
  receiver.answer = 200;
  await until("it is taken", () => porto.member.context.store.alerts.first("webhook") === null);
  expect(receiver.requests.map(({ path }) => path)).not.toContain("/elsewhere");
  expect(receiver.requests.map(({ headers }) => headers["afterimage-signature"])).not.toContain(expect.anything());
  expect(failures()).toHaveLength(2);
}, 60_000);

test("mail is sent when the server takes it, with what to do, and a Message-ID of its own", async () => {
  const root = createSet();
  const receiver = await mailReceiver();
  receiver.refuses = true;
  const mail = {
    ...{ host: "127.0.0.1", port: receiver.port, tls: "none" },
    ...{ from: "afterimage@clinic.example", to: ["ana@clinic.example", "rui@clinic.example"] },
  };
  const porto = await serveAlerting(root, "porto", { alerts: { ...SILENCE, mail } });
  const { store } = porto.member.context;
  await until("it was refused", () => store.events({ code: "ALERT_UNDELIVERED" }).length > 0);
  receiver.refuses = false;
  await until("a mail came", () => receiver.mails.length > 0);
  await until("it is done", () => store.events({ code: "ALERT_DELIVERED" }).length > 0);
  const [letter] = receiver.mails;
  expect(receiver.mails).toHaveLength(1);
  expect(letter).toMatchObject({ from: mail.from, to: mail.to });
  // Long header lines are folded (RFC 5322, section 2.2.3).
  const text = (letter?.lines.join("\n") ?? "").replaceAll(/\n[ \t]+/g, " ");
  expect(text).toMatch(/^Subject: \[clinic\/porto\] error UPSTREAM_SILENT: nothing has been heard/m);
  expect(text).toMatch(/^Message-ID: <[0-9a-f-]{36}-raised@afterimage.invalid>/m);
  expect(text).toMatch(/^Date: \w{3}, \d{2} \w{3} \d{4} \d\d:\d\d:\d\d \+0000$/m);
  expect(text).toMatch(/^What to do: Look at that machine/m);
}, 60_000);

test("the hook alert gets the notice on standard input, and again after it has failed", async () => {
  const root = createSet();
  const { path, directory } = program('cat >> "$dir/told"; [ -e "$dir/failed" ] || { touch "$dir/failed"; exit 1; }');
  const keys = { hooks: { alert: path } };
  const porto = await serveAlerting(root, "porto", { alerts: SILENCE, keys });
  await until("it is told", () => porto.member.context.store.events({ code: "ALERT_DELIVERED" }).length > 0);
  const told = readFileSync(join(directory, "told"), "utf8").trimEnd().split("\n");
  const { mirror, member, ...details } = RAISED;
  const document = { event: "alert", mirror, member, role: { old: "mirror", new: "mirror" }, details };
  expect(told.map((line) => JSON.parse(line))).toMatchObject([document, document]);
  expect(new Set(told.map((line) => JSON.parse(line).details.id)).size).toBe(1);
}, 60_000);

test("a restart neither repeats nor forgets what is raised, and status shows it", async () => {
  const root = createSet();
  const alerts = { ...SILENCE };
  const first = await serveAlerting(root, "porto", { alerts });
  await until("it is raised", () => first.member.alerts.view.length > 0);
  const [raised] = first.member.ownStatus().alerts ?? [];
  expect(raised).toMatchObject({ code: "UPSTREAM_SILENT", level: "error", subject: null });
  await first.stop();
  const again = await serveAlerting(root, "porto", { alerts });
  const published = (): MemberStatus | null =>
    parseMemberStatus(readFileSync(join(root, "porto", "mailbox", "status.json"), "utf8"));
  await until("status says so again", () => published()?.reachable === true);
  expect(published()?.alerts).toMatchObject([{ code: "UPSTREAM_SILENT", since: raised?.since }]);
  await until("it was looked at a while", () => again.member.context.nowMs() - Date.parse(raised?.since ?? "") > 6_000);
  expect(alertHistory(again.member)).toEqual(["RAISED UPSTREAM_SILENT"]);
  expect(again.member.context.store.database(CLINIC)).toBeNull();
}, 60_000);
