/**
 * `afterimage verify`: compares this member's databases with what the journal says of them, and checks the journal; or,
 * with files, checks these segments.
 */
import type { Command } from "commander";
import { AfterimageError } from "../errors.ts";
import { formatChecksum, formatTxid } from "../ltx/position.ts";
import { verifySegmentInSlices } from "../ltx/verify-segment.ts";
import type { VerificationResult } from "../member/member-control.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { openSegment } from "./open-segment.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface VerifyArguments extends GlobalOptions {
  /** Segment files; empty for this member's databases and journal. */
  readonly files: readonly string[];
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
  return args.files.length > 0 ? await verifyFiles(args, io) : await verifyMember(args, io);
}

async function verifyMember(args: GlobalOptions, io: CommandIo): Promise<number> {
  const databases = await withControl(args, io, (control) => control.verify());
  const ok = databases.every((result) => result.ok);
  print(args, io, { ok, databases }, () => databases.flatMap(databaseLines));
  return ok ? EXIT.done : EXIT.outOfSync;
}

function databaseLines({ database, ok, position, pages, problems }: VerificationResult): string[] {
  const at = position === null ? "has no position yet" : `${pages} pages at ${position}`;
  return [`${ok ? "ok " : "BAD"} ${database}: ${at}`, ...problems.map((problem) => `      ${problem}`)];
}

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
    .action((files: string[], _options: object, command: Command) =>
      execute(command, (globals, io) => verify({ ...globals, files }, io)),
    );
};
