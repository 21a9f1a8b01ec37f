/** What `afterimage init` asks a person for, when flags that it needs are missing. Nothing is changed here. */
import { readdirSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { CANCEL_SYMBOL, confirm, intro, multiselect, note, select, text } from "@clack/prompts";
import { HOST_KEY, parseMailbox } from "../config/mailbox-url.ts";
import { databaseNameFault, NAME } from "../config/names.ts";
import { messageOf } from "../errno.ts";
import { isWholeDatabase } from "../sqlite/whole-database.ts";
import { fingerprintOf } from "../transport/ssh-host-key.ts";
import { shownHostKey } from "../transport/ssh-shown-host-key.ts";
import { CliError } from "./cli-error.ts";
import type { InitFlags } from "./init-plan.ts";

const SUFFIXES = [".db", ".sqlite", ".sqlite3"];
const DEFAULT_STATE = "/var/lib/afterimage";
const NAME_RULE = "A name is 1 to 32 letters, digits, _ and -, and begins with a letter or digit.";

export interface InitAnswers extends InitFlags {
  /** Which member this machine is; null when it is none of them. */
  readonly node: string | null;
}

/** @throws CliError NOT_CONFIRMED when the person gives up: nothing was written then. */
export async function askInit(workingDirectory: string): Promise<InitAnswers> {
  intro("A new mirror set: nothing is written before the last question is answered");
  const mirror = await ask({ message: "Name of the mirror set", initialValue: "main", validate: nameFault });
  const operational = await ask({
    message: "Name of the member whose databases applications write to",
    initialValue: ownName(),
    validate: nameFault,
  });
  const files = await askDatabases(workingDirectory);
  const members = [await askMember(operational, files, null)];
  do {
    const taken = members.map(({ name }) => name);
    const name = await ask({
      message: "Name of a mirror",
      validate: (value) => (taken.includes(value ?? "") ? "There is a member of that name." : nameFault(value)),
    });
    members.push(await askMember(name, files, operational));
  } while (answered(await confirm({ message: "Is there another mirror?", initialValue: false })));
  const options = members.map(({ name }) => ({ value: name, label: name }));
  const node = await chosen("Which of them is this machine?", [...options, { value: "", label: "none of them" }]);
  return {
    mirror,
    operational,
    member: members.map(({ name, mailbox }) => `${name}=${mailbox}`),
    state: members.map(({ name, state }) => `${name}=${state}`),
    database: members.flatMap(({ name, databases }) => databases.map((each) => `${name}:${each}`)),
    hostKey: members.flatMap(({ name, hostKey }) => (hostKey === null ? [] : [`${name}=${hostKey}`])),
    node: node === "" ? null : node,
  };
}

export async function askConversion(paths: readonly string[]): Promise<boolean> {
  const message = `${paths.join(", ")}: not in WAL mode. Convert now? Applications need no change, but all must be on this machine`;
  return answered(await confirm({ message, initialValue: false }));
}

interface AskedMember {
  readonly name: string;
  readonly mailbox: string;
  readonly state: string;
  /** `NAME=PATH` */
  readonly databases: readonly string[];
  readonly hostKey: string | null;
}

/** @param original null for the operational member, whose databases are where they are. */
async function askMember(name: string, files: readonly string[], original: string | null): Promise<AskedMember> {
  const mailbox = await ask({
    message: `How do the others reach ${name}? sftp://user@host:port/directory, or file:///directory that all of them see`,
    initialValue: `sftp://mirror@${name}:22/mailbox`,
    validate: mailboxFault,
  });
  const hostKey = await askHostKey(name, mailbox);
  const state = await ask({ message: `State directory of ${name}`, initialValue: DEFAULT_STATE, validate: pathFault });
  const databases: string[] = [];
  for (const file of files) {
    const path =
      original === null
        ? file
        : await ask({
            message: `Where is the copy of ${basename(file)} on ${name}?`,
            initialValue: file,
            validate: pathFault,
          });
    databases.push(`${databaseName(file)}=${path}`);
  }
  return { name, mailbox, state, databases, hostKey };
}

async function askDatabases(workingDirectory: string): Promise<string[]> {
  const found = readdirSync(workingDirectory)
    .map((entry) => join(workingDirectory, entry))
    .filter(
      (path) =>
        SUFFIXES.includes(extname(path)) && databaseNameFault(databaseName(path)) === null && isWholeDatabase(path),
    );
  if (found.length > 0) {
    const options = found.map((path) => ({ value: path, label: path }));
    const picked = answered(
      await multiselect({
        message: "Databases to mirror (space chooses)",
        options,
        initialValues: found,
        required: false,
      }),
    );
    if (picked.length > 0) return picked;
  }
  const path = await ask({
    message: "Path of the database",
    validate: (value) => pathFault(value) ?? databaseNameFault(databaseName(value ?? "")) ?? undefined,
  });
  return [path];
}

/** Null where there is none: a mailbox in a directory. */
async function askHostKey(name: string, address: string): Promise<string | null> {
  const mailbox = parseMailbox(address);
  if (typeof mailbox === "string" || mailbox.kind !== "sftp") return null;
  const { host, port } = mailbox;
  const seen = await shownHostKey({ host, port, hostKey: null, knownHosts: null }).then(
    ({ bytes }) => fingerprintOf(bytes),
    (error: unknown) => ({ reason: messageOf(error) }),
  );
  const compare = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub";
  if (typeof seen === "string") {
    note(`${host}:${port} shows ${seen}\nCompare it with what this prints on ${name}: ${compare}`, "Host key");
    if (answered(await confirm({ message: "Is it the same? Then it is pinned", initialValue: false }))) return seen;
  } else {
    note(`${host}:${port} cannot be asked now: ${seen.reason}\nThis prints it on ${name}: ${compare}`, "Host key");
  }
  return await ask({
    message: `Host key of ${name}`,
    placeholder: "SHA256:...",
    validate: (value) => (HOST_KEY.test(value ?? "") ? undefined : "It is SHA256: and 43 characters."),
  });
}

interface Question {
  readonly message: string;
  readonly initialValue?: string;
  readonly placeholder?: string;
  validate(value: string | undefined): string | undefined;
}

async function ask(question: Question): Promise<string> {
  return answered(await text(question)).trim();
}

async function chosen(message: string, options: { value: string; label: string }[]): Promise<string> {
  return answered(await select({ message, options }));
}

function answered<T>(answer: T | typeof CANCEL_SYMBOL): T {
  if (answer !== CANCEL_SYMBOL) return answer;
  throw new CliError("NOT_CONFIRMED", "nothing was written", {
    hint: "run the command again, or give flags: see --help",
  });
}

function databaseName(path: string): string {
  return basename(path, extname(path));
}

function nameFault(value: string | undefined): string | undefined {
  return NAME.test(value ?? "") ? undefined : NAME_RULE;
}

function mailboxFault(value: string | undefined): string | undefined {
  const parsed = parseMailbox(value ?? "");
  return typeof parsed === "string" ? parsed : undefined;
}

function pathFault(value: string | undefined): string | undefined {
  return value?.startsWith("/") === true && dirname(value) !== value ? undefined : "Write the path from / on.";
}

/** This machine's, as far as a member may have it. */
function ownName(): string {
  const [name = ""] = hostname().split(".");
  return NAME.test(name) ? name : "operational";
}
