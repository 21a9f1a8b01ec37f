/** A journal to deliver from: what an operational member cut, as files that a test puts into inboxes as it likes. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { uniquePartPath } from "../../src/durable-files.ts";
import { MemorySource } from "../../src/ltx/byte-io.ts";
import { decodeHeader, type SegmentHeader } from "../../src/ltx/header.ts";
import { SegmentDecoder } from "../../src/ltx/segment-decoder.ts";
import { SegmentEncoder } from "../../src/ltx/segment-encoder.ts";
import type { Member } from "../../src/member/member.ts";
import { setInboxPath } from "./set-members.ts";

export interface JournalFile {
  readonly database: string;
  readonly name: string;
  readonly bytes: Buffer;
}

/** All segments and snapshots of a member's journal of one database, oldest first. */
export async function journalFiles(member: Member, database: string): Promise<JournalFile[]> {
  const segments = await member.segments({ database, limit: 10_000 });
  return segments.map(({ path, minTxid, maxTxid }) => ({
    database,
    name: `${minTxid}-${maxTxid}.ltx`,
    bytes: readFileSync(path),
  }));
}

/** Puts a file into a member's inbox as a transport does: it is whole as soon as it has its name. */
export function deliverTo(root: string, member: string, file: JournalFile, bytes: Uint8Array = file.bytes): void {
  const inbox = setInboxPath(root, member, file.database);
  mkdirSync(inbox, { recursive: true });
  const part = uniquePartPath(join(inbox, file.name));
  try {
    writeFileSync(part, bytes);
    renameSync(part, join(inbox, file.name));
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

/** The same pages under another header, with every checksum right again. */
export function withHeader(bytes: Uint8Array, change: Partial<SegmentHeader>): Buffer {
  const decoder = new SegmentDecoder(new MemorySource(bytes));
  const chunks: Uint8Array[] = [];
  const sink = { write: (chunk: Uint8Array) => void chunks.push(chunk.slice()) };
  const encoder = new SegmentEncoder(sink, { ...decoder.header, ...change });
  for (let page = decoder.next(); page !== null; page = decoder.next()) encoder.writePage(page.pgno, page.data);
  encoder.finish(decoder.finish().postApplyChecksum);
  return Buffer.concat(chunks);
}

export function headerOf(bytes: Uint8Array): SegmentHeader {
  return decodeHeader(bytes);
}

export interface Refused {
  readonly file: string;
  readonly code: string;
  readonly message: string;
  readonly times: number;
}

/** What a member's quarantine of a database says, oldest first. */
export function refusedFiles(root: string, member: string, database: string): Refused[] {
  const directory = join(root, member, "state", "quarantine", database);
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith(".reason.json"))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(directory, name), "utf8")));
}
