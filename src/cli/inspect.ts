/** `afterimage inspect FILE`: what a segment says of itself, after it was verified. */
import type { Command } from "commander";
import { HEADER_FLAG_NO_CHECKSUM, isSnapshot, type SegmentHeader } from "../ltx/header.ts";
import { parseNodeId } from "../ltx/node-id.ts";
import type { ChecksumHalves } from "../ltx/page-checksum.ts";
import { formatChecksum, formatTxid } from "../ltx/position.ts";
import { SegmentDecoder, type SegmentTrailer } from "../ltx/segment-decoder.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { openSegment } from "./open-segment.ts";
import type { Register } from "./register.ts";

interface InspectOptions {
  /** List the pages. */
  readonly pages?: boolean;
}

interface InspectArguments extends InspectOptions, GlobalOptions {
  readonly file: string;
}

interface PageView {
  readonly pgno: number;
  readonly checksum: string;
}

const PAGE_BATCH = 1_024;

export async function inspect(args: InspectArguments, io: CommandIo): Promise<number> {
  using source = openSegment(args.file, io);
  const decoder = new SegmentDecoder(source);
  const pages: PageView[] = [];
  for (let page = decoder.next(), seen = 1; page !== null; page = decoder.next(), seen++) {
    if (args.pages === true) pages.push({ pgno: page.pgno, checksum: hex(page.checksum) });
    if (seen % PAGE_BATCH === 0) await new Promise((turn) => setImmediate(turn));
  }
  const document = describe(args.file, source.size, decoder.header, decoder.finish());
  print(args, io, args.pages === true ? { ...document, pageList: pages } : document, () => [
    ...documentLines(document),
    ...pages.map(({ pgno, checksum }) => `page ${String(pgno).padStart(10)}  ${checksum}`),
  ]);
  return EXIT.done;
}

function hex(checksum: ChecksumHalves): string {
  return Array.from(checksum, (half) => half.toString(16).padStart(8, "0")).join("");
}

/** Times are ISO 8601; TXIDs, checksums and salts are hexadecimal; offsets and sizes are decimal texts, being 64 bits wide. */
function describe(file: string, bytes: number, header: SegmentHeader, trailer: SegmentTrailer) {
  const { epoch, originChecksum } = parseNodeId(header.nodeId);
  return {
    file,
    kind: isSnapshot(header) ? "snapshot" : "segment",
    bytes,
    checksums: (header.flags & HEADER_FLAG_NO_CHECKSUM) === 0 ? "tracked" : "not tracked",
    minTxid: formatTxid(header.minTxid),
    maxTxid: formatTxid(header.maxTxid),
    time: new Date(header.timestampMs).toISOString(),
    pageSize: header.pageSize,
    databasePages: header.commit,
    pages: trailer.pages,
    preApplyChecksum: formatChecksum(header.preApplyChecksum),
    postApplyChecksum: formatChecksum(trailer.postApplyChecksum),
    fileChecksum: formatChecksum(trailer.fileChecksum),
    walOffset: String(header.walOffset),
    walSize: String(header.walSize),
    walSalts: [header.walSalt1, header.walSalt2].map((salt) => salt.toString(16).padStart(8, "0")).join(" "),
    epoch,
    originChecksum: originChecksum.toString(16).padStart(8, "0"),
  };
}

const LABELS: Readonly<Record<keyof ReturnType<typeof describe>, string>> = {
  file: "File",
  kind: "Kind",
  bytes: "Bytes",
  checksums: "Database checksums",
  minTxid: "First transaction",
  maxTxid: "Last transaction",
  time: "Cut at",
  pageSize: "Page size",
  databasePages: "Database, in pages",
  pages: "Pages in this file",
  preApplyChecksum: "Database checksum before",
  postApplyChecksum: "Database checksum after",
  fileChecksum: "File checksum",
  walOffset: "Begins in the WAL at byte",
  walSize: "Bytes of the WAL",
  walSalts: "Salts of the WAL",
  epoch: "Epoch",
  originChecksum: "CRC-32 of set/database/member",
};

function documentLines(document: ReturnType<typeof describe>): string[] {
  const width = Math.max(...Object.values(LABELS).map((label) => label.length));
  const values = new Map(Object.entries(document));
  const lines = Object.entries(LABELS).map(([key, label]) => `${label.padEnd(width)}  ${values.get(key) ?? ""}`);
  return [...lines, "Verified: complete, and every checksum is right."];
}

export const registerInspect: Register = (program, execute) => {
  program
    .command("inspect")
    .description("verify a segment file and show what it holds")
    .argument("<file>", "a segment or snapshot (LTX version 3)")
    .option("--pages", "list the pages")
    .action((file: string, options: InspectOptions, command: Command) =>
      execute(command, (globals, io) => inspect({ ...globals, ...options, file }, io)),
    );
};
