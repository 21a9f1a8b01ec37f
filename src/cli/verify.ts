/**
 * `afterimage verify`: compares this member's databases with what the journal says of them, and checks the journal; or,
 * with files, checks these segments.
 */
import SqliteDatabase from "better-sqlite3";
import type { Command } from "commander";
import { configuredPath } from "../config/database-pattern.ts";
import { messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import { formatChecksum, formatTxid } from "../ltx/position.ts";
import { verifySegmentInSlices } from "../ltx/verify-segment.ts";
import type { VerificationResult } from "../member/member-control.ts";
import { CliError } from "./cli-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { openConfiguration } from "./open-configuration.ts";
import { openSegment } from "./open-segment.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

const BUSY_TIMEOUT_MS = 5_000;
const PROBLEMS_SHOWN = 10;

interface VerifyArguments extends GlobalOptions {
  /** Segment files; empty for this member's databases and journal. */
  readonly files: readonly string[];
  /** Also on the members above this one. */
  readonly deep?: boolean;
}

interface FileVerification {
  readonly file: string;
  readonly ok: boolean;
  readonly pages: number | null;
  /** TXIDs, 16 hexadecimal digits. */
  readonly minTxid: string | null;
  readonly maxTxid: string | null;
  readonly postApplyChecksum: string | null;
  readonly problems: readonly string[];
}

export async function verify(args: VerifyArguments, io: CommandIo): Promise<number> {
  if (args.files.length > 0 && args.deep === true) {
    throw new CliError("USAGE", "--deep is about databases, not about files", { hint: "give one of them" });
  }
  return args.files.length > 0 ? await verifyFiles(args, io) : await verifyMember(args, io);
}

async function verifyMember(args: VerifyArguments, io: CommandIo): Promise<number> {
  const { deep = false } = args;
  const compared = await withControl(args, io, (control) => control.verify(undefined, { deep }));
  const databases = deep ? compared.map((result) => withQuickCheck(args, io, result)) : compared;
  const ok = databases.every((result) => result.ok);
  const isAnswered = databases.every(({ members = [] }) => members.every(({ state }) => state !== "unknown"));
  print(args, io, { ok, databases }, () => databases.flatMap(databaseLines));
  if (!ok) return EXIT.outOfSync;
  return isAnswered ? EXIT.done : EXIT.unreachable;
}

/** Here, and not in the daemon, because it does not return before it is done. */
function withQuickCheck(args: GlobalOptions, io: CommandIo, result: VerificationResult): VerificationResult {
  const path = configuredPath(openConfiguration(args, io).member, result.database);
  const found = path === null ? [] : quickCheck(path);
  return { ...result, ok: result.ok && found.length === 0, problems: [...result.problems, ...found] };
}

function quickCheck(path: string): string[] {
  try {
    const database = new SqliteDatabase(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    try {
      const found = database.prepare<[], string>(`PRAGMA quick_check(${PROBLEMS_SHOWN})`).pluck().all();
      return found.length === 1 && found[0] === "ok" ? [] : found.map((problem) => `quick_check: ${problem}`);
    } finally {
      database.close();
    }
  } catch (error) {
    return [`quick_check: ${messageOf(error)}`];
  }
}

function databaseLines({ database, ok, position, pages, problems, members = [] }: VerificationResult): string[] {
  const at = position === null ? "has no position yet" : `${pages} pages at ${position}`;
  return [
    `${ok ? "ok " : "BAD"} ${database}: ${at}`,
    ...problems.map((problem) => `      ${problem}`),
    ...members.flatMap((member) => [
      `  ${MARKS[member.state]} ${member.member}: ${member.position ?? "no position"}`,
      ...member.problems.map((problem) => `        ${problem}`),
    ]),
  ];
}

const MARKS = { ok: "ok ", bad: "BAD", unknown: "???" } as const;

async function verifyFiles(args: VerifyArguments, io: CommandIo): Promise<number> {
  const files: FileVerification[] = [];
  for (const file of args.files) files.push(await verifyFile(file, io));
  const ok = files.every((result) => result.ok);
  print(args, io, { ok, files }, () => files.flatMap(fileLines));
  return ok ? EXIT.done : EXIT.failed;
}

async function verifyFile(file: string, io: CommandIo): Promise<FileVerification> {
  using source = openSegment(file, io);
  try {
    const { header, pages, postApplyChecksum } = await verifySegmentInSlices(source);
    return {
      file,
      ok: true,
      pages,
      minTxid: formatTxid(header.minTxid),
      maxTxid: formatTxid(header.maxTxid),
      postApplyChecksum: formatChecksum(postApplyChecksum),
      problems: [],
    };
  } catch (error) {
    if (!(error instanceof AfterimageError)) throw error;
    const unknown = { pages: null, minTxid: null, maxTxid: null, postApplyChecksum: null };
    return { file, ok: false, ...unknown, problems: [`${error.code}: ${error.message}`] };
  }
}

function fileLines({ file, ok, pages, minTxid, maxTxid, problems }: FileVerification): string[] {
  if (ok) return [`ok  ${file}: transactions ${minTxid} to ${maxTxid}, ${pages} pages`];
  return [`BAD ${file}`, ...problems.map((problem) => `      ${problem}`)];
}

export const registerVerify: Register = (program, execute) => {
  program
    .command("verify")
    .description("check this member's databases against its journal, or check segment files")
    .argument("[file...]", "segment files; without any, this member's databases and journal")
    .option("--deep", "on a mirror: also on the members above it, and with SQLite's quick_check")
    .action((files: string[], options: { deep?: boolean }, command: Command) =>
      execute(command, (globals, io) => verify({ ...globals, ...options, files }, io)),
    );
};
