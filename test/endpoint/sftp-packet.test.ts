import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeRequest,
  MAX_PACKET_BYTES,
  PacketReader,
  SftpPacketError,
  type SftpRequest,
} from "../../src/endpoint/sftp-packet.ts";

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const u64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};
const text = (value: string | Buffer) => Buffer.concat([u32(Buffer.byteLength(value)), Buffer.from(value)]);
const packet = (type: number, ...fields: Buffer[]) => Buffer.concat([Buffer.of(type), ...fields]);

const REQUESTS: readonly [string, Buffer, SftpRequest][] = [
  ["INIT", packet(1, u32(3)), { kind: "init", version: 3 }],
  ["OPEN", packet(3, u32(7), text("/a"), u32(0x1a), u32(0)), { kind: "open", id: 7, path: "/a", flags: 0x1a }],
  ["CLOSE", packet(4, u32(7), text("h")), { kind: "close", id: 7, handle: "h" }],
  [
    "READ",
    packet(5, u32(7), text("h"), u64(2n ** 40n), u32(9)),
    { kind: "read", id: 7, handle: "h", position: 2 ** 40, length: 9 },
  ],
  [
    "WRITE",
    packet(6, u32(7), text("h"), u64(5n), text("abc")),
    { kind: "write", id: 7, handle: "h", position: 5, bytes: Buffer.from("abc") },
  ],
  ["LSTAT", packet(7, u32(7), text("/ä")), { kind: "lstat", id: 7, path: "/ä" }],
  ["FSTAT", packet(8, u32(7), text("h")), { kind: "fstat", id: 7, handle: "h" }],
  ["SETSTAT", packet(9, u32(7), text("/a"), u32(0)), { kind: "unsupported", id: 7 }],
  ["OPENDIR", packet(11, u32(7), text("/a")), { kind: "list", id: 7, path: "/a" }],
  ["READDIR", packet(12, u32(7), text("h")), { kind: "next", id: 7, handle: "h" }],
  ["REMOVE", packet(13, u32(7), text("/a")), { kind: "remove", id: 7, path: "/a" }],
  ["MKDIR", packet(14, u32(7), text("/a"), u32(0)), { kind: "mkdir", id: 7, path: "/a" }],
  ["REALPATH", packet(16, u32(7), text(".")), { kind: "realpath", id: 7, path: "." }],
  ["STAT", packet(17, u32(7), text("/a")), { kind: "stat", id: 7, path: "/a" }],
  ["RENAME", packet(18, u32(7), text("/a"), text("/b")), { kind: "rename", id: 7, from: "/a", to: "/b" }],
  ["SYMLINK", packet(20, u32(7), text("/a"), text("/b")), { kind: "unsupported", id: 7 }],
  ["posix-rename", extended("posix-rename@openssh.com", "/a", "/b"), { kind: "replace", id: 7, from: "/a", to: "/b" }],
  ["hardlink", extended("hardlink@openssh.com", "/a", "/b"), { kind: "link", id: 7, from: "/a", to: "/b" }],
  ["statvfs", extended("statvfs@openssh.com", "/a"), { kind: "statvfs", id: 7, path: "/a" }],
  ["fsync", extended("fsync@openssh.com", "h"), { kind: "fsync", id: 7, handle: "h" }],
  ["limits", extended("limits@openssh.com"), { kind: "limits", id: 7 }],
  ["another extension", extended("copy-data", "h"), { kind: "unsupported", id: 7 }],
];

function extended(name: string, ...fields: string[]): Buffer {
  return packet(200, u32(7), text(name), ...fields.map(text));
}

test.each(REQUESTS)("%s is decoded", (_, bytes, request) => {
  expect(decodeRequest(bytes)).toEqual(request);
});

test("no prefix of a request is taken for a request", () => {
  for (const [name, bytes, request] of REQUESTS) {
    if (request.kind === "unsupported" || ["open", "mkdir"].includes(request.kind)) continue;
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeRequest(bytes.subarray(0, length)), `${name} of ${length} bytes`).toThrow(SftpPacketError);
    }
  }
});

test("a name that is not UTF-8 is refused", () => {
  expect(() => decodeRequest(packet(17, u32(1), text(Buffer.from([0xff, 0xfe]))))).toThrow(SftpPacketError);
});

test("a position beyond every file is none that a file has", () => {
  const request = decodeRequest(packet(5, u32(1), text("h"), u64(2n ** 64n - 1n), u32(1)));
  expect(request).toMatchObject({ position: Number.MAX_SAFE_INTEGER });
});

test("whatever bytes come, they are decoded or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeRequest(Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(SftpPacketError);
      }
    }),
    { numRuns: 5_000 },
  );
});

test("packets are found wherever the stream is cut", () => {
  const packets = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 });
  fc.assert(
    fc.property(packets, fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1 }), (expected, cuts) => {
      const stream = Buffer.concat(expected.flatMap((bytes) => [u32(bytes.length), Buffer.from(bytes)]));
      const reader = new PacketReader();
      const found: Buffer[] = [];
      for (let position = 0, cut = 0; position < stream.length; cut++) {
        const length = cuts[cut % cuts.length] ?? 1;
        for (const packet of reader.push(stream.subarray(position, position + length))) found.push(Buffer.from(packet));
        position += length;
      }
      expect(found.map((bytes) => bytes.toString("hex"))).toEqual(expected.map((b) => Buffer.from(b).toString("hex")));
    }),
  );
});

test.each([0, MAX_PACKET_BYTES + 1, 0xffffffff])("a packet of %d bytes is refused by its length", (length) => {
  expect(() => [...new PacketReader().push(u32(length))]).toThrow(SftpPacketError);
});
