/**
 * What a new user does: two machines with SSH between them, `init` on the first, and then the commands that it prints, until the
 * database is mirrored. Each machine is a network namespace with file systems of its own and a real sshd.
 */
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { PROGRAM } from "../cli/afterimage.ts";
import { Machine } from "../support/machine.ts";
import { NetworkOfHosts } from "../support/network-of-hosts.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { SSHD } from "../transport/ssh-server.ts";

const NAMES = ["lisbon", "porto"] as const;
const DATABASE = "/var/lib/clinic/patients.db";
const TRANSCRIPT = process.env.AFTERIMAGE_TRANSCRIPT === "1";

type Machines = Readonly<Record<(typeof NAMES)[number], Machine>>;

interface Step {
  readonly member: string | null;
  readonly what: string;
  readonly commands: string[];
}

/** Null where this user may not make any, which is said on standard error. */
async function machines(): Promise<Machines | null> {
  const network = NetworkOfHosts.make(NAMES);
  if (network === null) return null;
  onTestFinished(() => network[Symbol.dispose]());
  const programs = temporaryDirectory();
  program(programs, "afterimage", `exec '${process.execPath}' '${PROGRAM}' "$@"`);
  const asAnother = 'account=$2; shift 2; exec setpriv --reuid="$account" --regid="$account" --init-groups "$@"';
  program(programs, "sudo", `if [ "$1" = -u ]; then ${asAnother}; fi; exec "$@"`);
  const [lisbon, porto] = await Promise.all(NAMES.map((name) => Machine.start(network.host(name), programs)));
  if (lisbon === undefined || porto === undefined) throw new Error("no machine");
  onTestFinished(async () => {
    await Promise.all([lisbon.stop(), porto.stop()]);
  });
  await Promise.all([lisbon, porto].map(serveSsh));
  // The administrator can log in from one to the other, as before anything of this.
  await lisbon.must("ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519");
  const key = await lisbon.must("cat .ssh/id_ed25519.pub");
  await porto.must(`echo '${key.trim()}' >> .ssh/authorized_keys`);
  await lisbon.must("mkdir -p /var/lib/clinic");
  await onDatabase(lisbon, "CREATE TABLE t (a); INSERT INTO t VALUES ('first')");
  return { lisbon, porto };
}

function program(directory: string, name: string, line: string): void {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\n${line}\n`);
  chmodSync(path, 0o755);
  chmodSync(directory, 0o755);
}

async function serveSsh(machine: Machine): Promise<void> {
  await machine.must("rm -rf .ssh /etc/ssh/ssh_host_* && ssh-keygen -q -A && mkdir -m 700 .ssh && mkdir -p /run/sshd");
  await machine.must("echo 'StrictHostKeyChecking accept-new' > .ssh/config");
  const server = machine.spawn(`exec ${SSHD} -D -e`);
  await new Promise<void>((resolve, reject) => {
    server.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (text.includes("Server listening")) resolve();
    });
    server.once("exit", () => reject(new Error("sshd ended")));
  });
}

async function onDatabase(machine: Machine, sql: string): Promise<string> {
  const script = `
import sqlite3
db = sqlite3.connect("${DATABASE}", timeout=5)
for statement in """${sql}""".split(";"):
    for row in db.execute(statement).fetchall():
        print(*row)
db.commit()
`;
  return await machine.must(`python3 -c '${script.replaceAll("'", "'\\''")}'`);
}

function show(text: string): void {
  if (TRANSCRIPT) process.stderr.write(text);
}

/** Types a line as it was printed. */
async function type(machines: Machines, member: string, line: string): Promise<string> {
  const machine = member === "lisbon" ? machines.lisbon : machines.porto;
  show(`${member}$ ${line}\n`);
  const output = await machine.must(line);
  show(`${output}\n`);
  return output;
}

/** The numbered steps of what `init` printed. */
function stepsOf(output: string): Step[] {
  const steps: Step[] = [];
  for (const line of output.slice(output.indexOf("\nNext:\n") + 7).split("\n")) {
    const [, member, what] = /^ {2}\d+\. (?:on (\w+): )?(.+)$/.exec(line) ?? [];
    if (what !== undefined) steps.push({ member: member ?? null, what, commands: [] });
    else if (line.startsWith("       ")) steps.at(-1)?.commands.push(line.trim());
  }
  return steps;
}

function commandOf(steps: readonly Step[], member: string | null, what: RegExp): string {
  const command = steps.find((step) => step.member === member && what.test(step.what))?.commands[0];
  if (command === undefined) throw new Error(`no step ${what} on ${member}: ${JSON.stringify(steps)}`);
  return command;
}

/** The commands as they are printed, in their order; with those of the other machine where the text says so. */
async function follow(machines: Machines, output: string): Promise<void> {
  const first = stepsOf(output);
  await installOn(machines, "lisbon", first);
  await type(machines, "lisbon", commandOf(first, "lisbon", /^copy the configuration to porto/));
  const onPorto = await type(machines, "porto", commandOf(first, "porto", /^prepare it, and let lisbon in/));
  const second = stepsOf(onPorto);
  await installOn(machines, "porto", second);
  const again = await type(machines, "lisbon", commandOf(second, "lisbon", /^let porto in/));
  await installOn(machines, "lisbon", stepsOf(again));
  for (const [member, steps] of [
    ["lisbon", first],
    ["porto", second],
  ] as const) {
    const line = commandOf(steps, member, /^start it/);
    show(`${member}$ ${line} &\n`);
    machines[member].spawn(`${line} >/root/log 2>&1`);
  }
}

async function installOn(machines: Machines, member: string, steps: readonly Step[]): Promise<void> {
  const step = steps.find(({ what }) => what.startsWith("let sshd serve"));
  if (step !== undefined) for (const command of step.commands) await type(machines, member, command);
}

async function untilMirrored(machines: Machines, status: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    const { code, stdout } = await machines.lisbon.run(status);
    if (code === 0 && /porto +mirror +connected +1 +(\w{16}) +0 +\1 +0/.test(stdout)) return stdout;
    if (signal.aborted) throw new Error(`not mirrored: ${stdout}${(await machines.lisbon.run("tail log")).stdout}`);
  }
}

test.each([
  ["the account that runs it", ""],
  ["the account of the application, which OpenSSH confines", " --account clinic"],
])(
  "from nothing to a mirrored database with %s, by the printed commands alone",
  { timeout: 120_000 },
  async (_, account) => {
    if (!existsSync(SSHD)) throw new Error("no sshd here: install the Debian package openssh-server");
    const both = await machines();
    if (both === null) return;
    await both.lisbon.must("useradd --system --home-dir / --shell /usr/sbin/nologin clinic");
    await both.lisbon.must("chown -R clinic: /var/lib/clinic");
    const line = [
      "afterimage init --mirror clinic --operational lisbon --node lisbon --convert-wal --pin-host-keys",
      ...NAMES.map((name) => `--member ${name}=${both[name].address}`),
      `--database patients=${DATABASE}${account}`,
    ].join(" ");
    const output = await type(both, "lisbon", line);
    expect(output).toContain(`Converted ${DATABASE} to WAL mode`);
    await follow(both, output);
    await onDatabase(both.lisbon, "INSERT INTO t VALUES ('second')");
    const status = commandOf(stepsOf(output), null, /^see how it is getting on/);
    const signal = AbortSignal.timeout(60_000);
    show(`lisbon$ ${status}\n${await untilMirrored(both, status, signal)}\n`);
    expect(await onDatabase(both.porto, "SELECT a FROM t ORDER BY 1")).toBe("first\nsecond\n");
    // The machine knows which member it is.
    expect((await both.porto.run("afterimage doctor")).stdout).toMatch(/this is porto/);
  },
);
