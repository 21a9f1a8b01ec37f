/** What an SFTP server answers; see sftp-packet.ts for the form of packets. */
import type { Stats } from "node:fs";
import { EXTENSIONS, MAX_DATA_BYTES, MAX_PACKET_BYTES, SFTP_VERSION, STATUS, type StatusName } from "./sftp-packet.ts";

const VERSION = 2;
const STATUS_REPLY = 101;
const HANDLE = 102;
const DATA = 103;
const NAME = 104;
const ATTRS = 105;
const EXTENDED_REPLY = 201;

/** Size, owner, permissions and times. */
const ATTRIBUTE_FLAGS = 0x01 | 0x02 | 0x04 | 0x08;

export interface NamedEntry {
  readonly name: string;
  /** Null where nothing is known: in the answer to REALPATH. */
  readonly stats: Stats | null;
}

export function versionReply(): Buffer {
  const pairs = Object.entries(EXTENSIONS).flatMap((pair) => pair.map(text));
  return packet(VERSION, uint32(SFTP_VERSION), ...pairs);
}

export function statusReply(id: number, status: StatusName, message = ""): Buffer {
  return packet(STATUS_REPLY, uint32(id), uint32(STATUS[status]), text(message), text("en"));
}

export function handleReply(id: number, handle: string): Buffer {
  return packet(HANDLE, uint32(id), text(handle));
}

export function dataReply(id: number, bytes: Buffer): Buffer {
  return packet(DATA, uint32(id), uint32(bytes.length), bytes);
}

export function attributesReply(id: number, stats: Stats): Buffer {
  return packet(ATTRS, uint32(id), attributes(stats));
}

export function namesReply(id: number, entries: readonly NamedEntry[]): Buffer {
  const fields = entries.flatMap(({ name, stats }) => [text(name), text(longName(name, stats)), attributes(stats)]);
  return packet(NAME, uint32(id), uint32(entries.length), ...fields);
}

export function limitsReply(id: number, openHandles: number): Buffer {
  const limits = [MAX_PACKET_BYTES, MAX_DATA_BYTES, MAX_DATA_BYTES, openHandles];
  return packet(EXTENDED_REPLY, uint32(id), ...limits.map(uint64));
}

export interface Space {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly availableBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
  readonly readOnly: boolean;
}

const ST_RDONLY = 1;
const ST_NOSUID = 2;
const NAME_MAX = 255;

export function spaceReply(id: number, space: Space): Buffer {
  const fields = [
    space.blockBytes,
    space.blockBytes,
    space.blocks,
    space.freeBlocks,
    space.availableBlocks,
    space.files,
    space.freeFiles,
    space.freeFiles,
    0,
    ST_NOSUID | (space.readOnly ? ST_RDONLY : 0),
    NAME_MAX,
  ];
  return packet(EXTENDED_REPLY, uint32(id), ...fields.map(uint64));
}

function packet(type: number, ...fields: Buffer[]): Buffer {
  const length = 1 + fields.reduce((sum, field) => sum + field.length, 0);
  return Buffer.concat([uint32(length), Buffer.of(type), ...fields], 4 + length);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(Math.max(0, Math.trunc(value))));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function attributes(stats: Stats | null): Buffer {
  if (stats === null) return uint32(0);
  const times = [stats.atimeMs, stats.mtimeMs].map((ms) => uint32(Math.floor(ms / 1000)));
  const owner = [uint32(stats.uid), uint32(stats.gid)];
  return Buffer.concat([uint32(ATTRIBUTE_FLAGS), uint64(stats.size), ...owner, uint32(stats.mode), ...times]);
}

/** As `ls -l` would print it: people who look with sftp(1) see this, and programs do not read it. */
function longName(name: string, stats: Stats | null): string {
  if (stats === null) return name;
  const type = stats.isDirectory() ? "d" : "-";
  const date = stats.mtime.toISOString().slice(0, 16).replace("T", " ");
  return `${type}--------- 1 ${stats.uid} ${stats.gid} ${String(stats.size).padStart(12)} ${date} ${name}`;
}
