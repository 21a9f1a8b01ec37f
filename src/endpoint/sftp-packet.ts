/**
 * SFTP version 3 as a server sees it: draft-ietf-secsh-filexfer-02, and the extensions of OpenSSH's PROTOCOL file
 * that this endpoint offers. Bytes in, messages out: nothing here knows of files or sockets.
 *
 * A packet is a uint32 with the length of the rest, a byte with its type, and fields; all but INIT begin with a uint32
 * that the answer repeats. A string is a uint32 with its length, and its bytes.
 */

/** OpenSSH's limit, and that of its clients. */
export const MAX_PACKET_BYTES = 256 * 1024;
/** The most that one READ gives or one WRITE takes: a packet less room for its other fields. */
export const MAX_DATA_BYTES = 255 * 1024;

export const SFTP_VERSION = 3;

export const FLAG_READ = 0x01;
export const FLAG_WRITE = 0x02;
export const FLAG_APPEND = 0x04;
export const FLAG_CREATE = 0x08;
export const FLAG_TRUNCATE = 0x10;
export const FLAG_EXCLUSIVE = 0x20;

/** Version 3 has 0 to 8; the others are of later versions, and say what an operator wants to know. */
export const STATUS = {
  ok: 0,
  end: 1,
  missing: 2,
  denied: 3,
  failure: 4,
  bad: 5,
  unsupported: 8,
  exists: 11,
  readonly: 12,
  full: 14,
  quota: 15,
} as const;

export type StatusName = keyof typeof STATUS;

export const EXTENSIONS: Readonly<Record<string, string>> = {
  "posix-rename@openssh.com": "1",
  "statvfs@openssh.com": "2",
  "hardlink@openssh.com": "1",
  "fsync@openssh.com": "1",
  "limits@openssh.com": "1",
};

interface Identified {
  readonly id: number;
}

type PathKind = "lstat" | "stat" | "list" | "realpath" | "statvfs";
type PathChangeKind = "remove" | "mkdir";
type HandleKind = "close" | "fstat" | "next" | "fsync";
type PairKind = "rename" | "replace" | "link";

export type SftpRequest =
  | { readonly kind: "init"; readonly version: number }
  | (Identified & { readonly kind: "open"; readonly path: string; readonly flags: number })
  | (Identified & {
      readonly kind: "read";
      readonly handle: string;
      readonly position: number;
      readonly length: number;
    })
  | (Identified & {
      readonly kind: "write";
      readonly handle: string;
      readonly position: number;
      readonly bytes: Buffer;
    })
  | (Identified & { readonly kind: PathKind; readonly path: string })
  | (Identified & { readonly kind: PathChangeKind; readonly path: string })
  | (Identified & { readonly kind: HandleKind; readonly handle: string })
  | (Identified & { readonly kind: PairKind; readonly from: string; readonly to: string })
  | (Identified & { readonly kind: "limits" })
  /** Something that this endpoint does not do: links, attributes, unknown requests. */
  | (Identified & { readonly kind: "unsupported" });

/** What a client sent is no SFTP: its connection is ended. */
export class SftpPacketError extends Error {
  override readonly name = "SftpPacketError";
}

const PATH_KINDS: Readonly<Record<number, PathKind | PathChangeKind>> = {
  7: "lstat",
  11: "list",
  13: "remove",
  14: "mkdir",
  16: "realpath",
  17: "stat",
};
const HANDLE_KINDS: Readonly<Record<number, HandleKind>> = { 4: "close", 8: "fstat", 12: "next" };
const INIT = 1;
const OPEN = 3;
const READ = 5;
const WRITE = 6;
const RENAME = 18;
const EXTENDED = 200;

/** Decodes a packet without its length. @throws SftpPacketError. */
export function decodeRequest(packet: Buffer): SftpRequest {
  const fields = new Fields(packet);
  const type = fields.byte();
  if (type === INIT) return { kind: "init", version: fields.uint32() };
  const id = fields.uint32();
  const pathKind = PATH_KINDS[type];
  if (pathKind !== undefined) return { kind: pathKind, id, path: fields.text() };
  const handleKind = HANDLE_KINDS[type];
  if (handleKind !== undefined) return { kind: handleKind, id, handle: fields.text() };
  switch (type) {
    case OPEN:
      return { kind: "open", id, path: fields.text(), flags: fields.uint32() };
    case READ:
      return { kind: "read", id, handle: fields.text(), position: fields.uint64(), length: fields.uint32() };
    case WRITE:
      return { kind: "write", id, handle: fields.text(), position: fields.uint64(), bytes: fields.bytes() };
    case RENAME:
      return { kind: "rename", id, from: fields.text(), to: fields.text() };
    case EXTENDED:
      return decodeExtended(id, fields);
    default:
      return { kind: "unsupported", id };
  }
}

function decodeExtended(id: number, fields: Fields): SftpRequest {
  switch (fields.text()) {
    case "posix-rename@openssh.com":
      return { kind: "replace", id, from: fields.text(), to: fields.text() };
    case "hardlink@openssh.com":
      return { kind: "link", id, from: fields.text(), to: fields.text() };
    case "statvfs@openssh.com":
      return { kind: "statvfs", id, path: fields.text() };
    case "fsync@openssh.com":
      return { kind: "fsync", id, handle: fields.text() };
    case "limits@openssh.com":
      return { kind: "limits", id };
    default:
      return { kind: "unsupported", id };
  }
}

class Fields {
  readonly #packet: Buffer;
  #position = 0;

  constructor(packet: Buffer) {
    this.#packet = packet;
  }

  byte(): number {
    return this.#packet.readUInt8(this.#take(1));
  }

  uint32(): number {
    return this.#packet.readUInt32BE(this.#take(4));
  }

  /** A position beyond what a file can have becomes one that no file has. */
  uint64(): number {
    const value = this.#packet.readBigUInt64BE(this.#take(8));
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
  }

  /** A view of the packet. */
  bytes(): Buffer {
    const length = this.uint32();
    const start = this.#take(length);
    return this.#packet.subarray(start, start + length);
  }

  /** Text that is not UTF-8 would be changed by decoding it, and is refused. */
  text(): string {
    const bytes = this.bytes();
    const text = bytes.toString("utf8");
    if (!Buffer.from(text, "utf8").equals(bytes)) throw new SftpPacketError("a name that is not UTF-8");
    return text;
  }

  #take(length: number): number {
    const start = this.#position;
    if (length > this.#packet.length - start) throw new SftpPacketError("a field that ends after its packet");
    this.#position += length;
    return start;
  }
}

/** Cuts a stream of bytes into packets. */
export class PacketReader {
  #header = Buffer.alloc(4);
  #headerBytes = 0;
  /** Used again for each packet. */
  #memory = Buffer.alloc(0);
  #packet: Buffer | null = null;
  #packetBytes = 0;

  /**
   * The packets that end in `chunk`, without their lengths; each is valid until the next one is asked for.
   * @throws SftpPacketError before a packet that is too long is held in memory.
   */
  *push(chunk: Buffer): Generator<Buffer> {
    let position = 0;
    while (position < chunk.length) {
      if (this.#packet === null) {
        const count = chunk.copy(this.#header, this.#headerBytes, position, position + 4 - this.#headerBytes);
        this.#headerBytes += count;
        position += count;
        if (this.#headerBytes === 4) this.#begin(this.#header.readUInt32BE(0));
        continue;
      }
      const count = chunk.copy(this.#packet, this.#packetBytes, position);
      this.#packetBytes += count;
      position += count;
      if (this.#packetBytes < this.#packet.length) continue;
      const packet = this.#packet;
      this.#packet = null;
      yield packet;
    }
  }

  #begin(length: number): void {
    if (length === 0 || length > MAX_PACKET_BYTES) throw new SftpPacketError(`a packet of ${length} bytes`);
    if (this.#memory.length < length) this.#memory = Buffer.allocUnsafeSlow(length);
    this.#packet = this.#memory.subarray(0, length);
    this.#packetBytes = 0;
    this.#headerBytes = 0;
  }
}
