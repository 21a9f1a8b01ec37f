import fc from "fast-check";
import { expect, test } from "vitest";
import { contribution, newRegister, updateRegister, ZeroRun } from "../../src/ltx/crc64.ts";
import { checksumToHalves, halvesToChecksum, lockBytePage, pageChecksum } from "../../src/ltx/page-checksum.ts";
import { toChecksum } from "../../src/ltx/position.ts";
import { concat, crc64 } from "./segment-spec.ts";

const FLAG = 1n << 63n;

/** CRC-64/ISO bit by bit, from its definition: reflected, all ones before and after. */
function referenceCrc(bytes: Uint8Array): bigint {
  let register = 0xffff_ffff_ffff_ffffn;
  for (const byte of bytes) {
    register ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) register = (register >> 1n) ^ ((register & 1n) * 0xd800_0000_0000_0000n);
  }
  return register ^ 0xffff_ffff_ffff_ffffn;
}

test("the CRC of the catalogue's check string is the catalogue's value", () => {
  const check = new TextEncoder().encode("123456789");
  expect(referenceCrc(check)).toBe(0xb909_56c7_75a4_1001n);
  expect(crc64(check)).toBe(0xb909_56c7_75a4_1001n);
});

test("a page's checksum is the CRC of its number and data with the highest bit set", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 0xffff_fffe }),
      fc.constantFrom(512, 1024, 4096),
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      (pgno, pageSize, seed) => {
        const data = Uint8Array.from({ length: pageSize }, (_, i) => seed[i % seed.length] ?? 0);
        const number = new Uint8Array(4);
        new DataView(number.buffer).setUint32(0, pgno);
        const halves = new Uint32Array(2);
        pageChecksum(pgno, data, halves);
        expect(halvesToChecksum(halves[0] ?? 0, halves[1] ?? 0)).toBe(referenceCrc(concat([number, data])) | FLAG);
      },
    ),
    { numRuns: 60 },
  );
});

test("data that is not a page has no page checksum", () => {
  expect(() => pageChecksum(1, new Uint8Array(513), new Uint32Array(2))).toThrow(RangeError);
});

test("a register moves over a page as if it had read it, for every page size", () => {
  for (let pageSize = 512; pageSize <= 65_536; pageSize *= 2) {
    const data = Uint8Array.from({ length: pageSize }, (_, i) => (i * 37 + (i >>> 8)) & 0xff);
    const before = Uint8Array.of(1, 2, 3, pageSize >>> 8);
    const moved = newRegister();
    const read = newRegister();
    const alone = newRegister();
    for (const register of [moved, read]) updateRegister(register, before, 0, before.length);
    contribution(data, alone);
    new ZeroRun(pageSize).apply(moved, alone);
    updateRegister(read, data, 0, data.length);
    expect(moved).toEqual(read);
  }
});

test("a checksum survives being cut into halves", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }), (value) => {
      const halves = new Uint32Array(2);
      checksumToHalves(toChecksum(value), halves);
      expect(halvesToChecksum(halves[0] ?? 0, halves[1] ?? 0)).toBe(value);
    }),
  );
});

test("the lock-byte page is the one at 1 GiB", () => {
  expect(lockBytePage(4096)).toBe(262_145);
  expect(lockBytePage(65_536)).toBe(16_385);
  expect(lockBytePage(512)).toBe(2_097_153);
});
