/** What `afterimage init` asks a person for, when flags that it needs are missing. Nothing is changed here. */
import { readdirSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { CANCEL_SYMBOL, confirm, intro, multiselect, note, select, text } from "@clack/prompts";
import { HOST_KEY, parseMailbox } from "../config/mailbox-url.ts";
import { databaseNameFault, NAME } from "../config/names.ts";
import { messageOf } from "../errno.ts";
import { isWholeDatabase } from "../sqlite/whole-database.ts";
import { CliError } from "./cli-error.ts";
import { askServer, type PinnedKey, type UnpinnedMember } from "./init-host-keys.ts";
import { defaultState, type InitFlags, mailboxOf, type SystemUser } from "./init-plan.ts";
import { comparingCommand } from "./show-host-key.ts";

const SUFFIXES = [".db", ".sqlite", ".sqlite3"];
const HTTP_PORT = 8008;
const CONFINED_ACCOUNT = "mirror";
const NAME_RULE = "A name is 1 to 32 letters, digits, _ and -, and begins with a letter or digit.";

export interface InitAnswers extends InitFlags {
  /** Which member this machine is; null when it is none of them. */
  readonly node: string | null;
}

/** @throws CliError NOT_CONFIRMED when the person gives up: nothing was written then. */
export async function askInit(workingDirectory: string, user: SystemUser): Promise<InitAnswers> {
  intro("A new mirror set: nothing is written before the last question is answered");
  const mirror = await ask({ message: "Name of the mirror set", initialValue: "main", validate: nameFault });
  const operational = await ask({
    message: "Name of the member whose databases applications write to",
    initialValue: ownName(),
    validate: nameFault,
  });
  const files = await askDatabases(workingDirectory);
  const first = await askAddress(operational);
  const account = first.includes("://") ? user.name : await askAccount(user);
  const common = { files, account, user };
  const members = [await askMember({ name: operational, address: first, original: true }, common)];
  do {
    const taken = members.map(({ name }) => name);
    const name = await ask({
      message: "Name of a mirror",
      validate: (value) => (taken.includes(value ?? "") ? "There is a member of that name." : nameFault(value)),
    });
    members.push(await askMember({ name, address: await askAddress(name), original: false }, common));
  } while (answered(await confirm({ message: "Is there another mirror?", initialValue: false })));
  const options = members.map(({ name }) => ({ value: name, label: name }));
  const node = await chosen("Which of them is this machine?", [...options, { value: "", label: "none of them" }]);
  const http = answered(
    await confirm({
      message: `Health checks, metrics and a page over HTTP, for this machine alone (127.0.0.1:${HTTP_PORT})?`,
      initialValue: false,
    }),
  );
  return {
    mirror,
    operational,
    account,
    member: members.map(({ name, mailbox }) => `${name}=${mailbox}`),
    directory: members.flatMap(({ name, directory }) => (directory === null ? [] : [`${name}=${directory}`])),
    state: members.map(({ name, state }) => `${name}=${state}`),
    database: members.flatMap(({ name, databases }) => databases.map((each) => `${name}:${each}`)),
    hostKey: members.flatMap(({ name, hostKey }) => (hostKey === null ? [] : [`${name}=${hostKey}`])),
    ...(http ? { http: HTTP_PORT } : {}),
    node: node === "" ? null : node,
  };
}

/** The member that this machine is, of a configuration that is there. */
export async function askNode(names: readonly string[]): Promise<string> {
  return await chosen(
    "Which member is this machine?",
    names.map((name) => ({ value: name, label: name })),
  );
}

/** Shows the host key that a server shows, and lets a person compare it; null when it cannot be asked. */
export async function askToPin(member: UnpinnedMember): Promise<string> {
  const { member: name, host, port } = member;
  const seen = await askServer(member).catch((error: unknown) => ({ reason: messageOf(error) }));
  if ("fingerprint" in seen) {
    if (await agreesToPin(seen)) return seen.fingerprint;
  } else {
    const compare = comparingCommand("ed25519");
    note(`${host}:${port} cannot be asked now: ${seen.reason}\nThis prints it on ${name}: ${compare}`, "Host key");
  }
  return await ask({
    message: `Host key of ${name}`,
    placeholder: "SHA256:...",
    validate: (value) => (HOST_KEY.test(value ?? "") ? undefined : "It is SHA256: and 43 characters."),
  });
}

async function agreesToPin({ member, host, port, type, fingerprint }: PinnedKey): Promise<boolean> {
  const compare = `Compare it with what this prints on ${member}: ${comparingCommand(type)}`;
  note(`${host}:${port} shows ${fingerprint}\n${compare}`, "Host key");
  return answered(await confirm({ message: "Is it the same? Then it is pinned", initialValue: false }));
}

async function askAddress(name: string): Promise<string> {
  return await ask({
    message: `How do the others reach ${name}? A host, host:port, an sftp:// URL, or file:///directory that all of them see`,
    initialValue: name,
    validate: addressFault,
  });
}

async function askAccount(user: SystemUser): Promise<string> {
  return await chosen("Which account do the others log in to?", [
    { value: user.name, label: `${user.name}, your own: nothing to install; their keys can do SFTP as you` },
    {
      value: CONFINED_ACCOUNT,
      label: `${CONFINED_ACCOUNT}, which OpenSSH confines to the mailbox: root runs a script`,
    },
  ]);
}

export async function askConversion(paths: readonly string[]): Promise<boolean> {
  const message = `${paths.join(", ")}: not in WAL mode. Convert now? Applications need no change, but all must be on this machine`;
  return answered(await confirm({ message, initialValue: false }));
}

interface AskedMember {
  readonly name: string;
  readonly mailbox: string;
  /** Null where it is the URL's path. */
  readonly directory: string | null;
  readonly state: string;
  /** `NAME=PATH` */
  readonly databases: readonly string[];
  readonly hostKey: string | null;
}

interface Common {
  readonly files: readonly string[];
  readonly account: string;
  readonly user: SystemUser;
}

/** @param original whether it is the operational member, whose databases are where they are. */
async function askMember(
  { name, address, original }: { readonly name: string; readonly address: string; readonly original: boolean },
  { files, account, user }: Common,
): Promise<AskedMember> {
  const { mailbox, directory } = mailboxOf(address, { account }, user);
  const parsed = parseMailbox(mailbox);
  const isSftp = typeof parsed !== "string" && parsed.kind === "sftp";
  const hostKey = isSftp ? await askToPin({ member: name, host: parsed.host, port: parsed.port }) : null;
  const initialValue = defaultState({ account }, user);
  const state = await ask({ message: `State directory of ${name}`, initialValue, validate: pathFault });
  const databases: string[] = [];
  for (const file of files) {
    const message = `Where is the copy of ${basename(file)} on ${name}?`;
    const path = original ? file : await ask({ message, initialValue: file, validate: pathFault });
    databases.push(`${databaseName(file)}=${path}`);
  }
  return { name, mailbox, directory, state, databases, hostKey };
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

function addressFault(value: string | undefined): string | undefined {
  const isHost = /^[^/@\s]+$/.test(value ?? "");
  const parsed = parseMailbox(isHost ? `sftp://user@${value}/mailbox` : (value ?? ""));
  return typeof parsed === "string" ? parsed : undefined;
}

function pathFault(value: string | undefined): string | undefined {
  const isWhole = value?.startsWith("/") === true || value?.startsWith("~/") === true;
  return isWhole && dirname(value) !== value ? undefined : "Write the path from / or ~/ on.";
}

/** This machine's, as far as a member may have it. */
function ownName(): string {
  const [name = ""] = hostname().split(".");
  return NAME.test(name) ? name : "operational";
}
