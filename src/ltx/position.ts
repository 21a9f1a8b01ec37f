/**
 * The values that name a database state: TXID, checksum and position.
 *
 * 64-bit values are `bigint` here and written as 16 lower-case hexadecimal digits, as LTX tools write them
 * (superfly/ltx, ltx.go: TXID.String, Checksum.String). An epoch is a small positive integer.
 */

/** Number of a commit on the operational database, 1 to 2^63-1. 0 stands for "none yet". */
export type Txid = bigint & { readonly __brand: "Txid" };

/** An LTX checksum: CRC-64/ISO with bit 63 set. 0 stands for "not known". */
export type Checksum = bigint & { readonly __brand: "Checksum" };

/** Set in every LTX checksum, so that none is ever zero. */
export const CHECKSUM_FLAG = 0x8000_0000_0000_0000n;

const MAX_TXID = 0x7fff_ffff_ffff_ffffn;
const HEX16 = /^[0-9a-f]{16}$/;

export const NO_TXID = 0n as Txid;
export const NO_CHECKSUM = 0n as Checksum;

export interface Position {
  /** Reign of one operational member; starts at 1. */
  readonly epoch: number;
  readonly txid: Txid;
  readonly checksum: Checksum;
}

/** @throws RangeError when `value` is outside 0..2^63-1. */
export function toTxid(value: bigint): Txid {
  if (value < 0n || value > MAX_TXID) throw new RangeError(`not a transaction ID: ${value}`);
  return value as Txid;
}

/** @throws RangeError when `value` is outside 0..2^64-1. */
export function toChecksum(value: bigint): Checksum {
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError(`not a checksum: ${value}`);
  return value as Checksum;
}

export function formatTxid(txid: Txid): string {
  return txid.toString(16).padStart(16, "0");
}

export function formatChecksum(checksum: Checksum): string {
  return checksum.toString(16).padStart(16, "0");
}

/** Returns null when `text` is not 16 lower-case hexadecimal digits. */
export function parseTxid(text: string): Txid | null {
  if (!HEX16.test(text)) return null;
  const value = BigInt(`0x${text}`);
  return value > MAX_TXID ? null : (value as Txid);
}

/** Returns null when `text` is not 16 lower-case hexadecimal digits. */
export function parseChecksum(text: string): Checksum | null {
  return HEX16.test(text) ? (BigInt(`0x${text}`) as Checksum) : null;
}

/** `epoch:txid:checksum`, the form in status output, logs and the catalogue. */
export function formatPosition(position: Position): string {
  return `${position.epoch}:${formatTxid(position.txid)}:${formatChecksum(position.checksum)}`;
}

/** The inverse of {@link formatPosition}; null when the text is not a position. */
export function parsePosition(text: string): Position | null {
  const [epochText = "", txidText = "", checksumText = "", ...rest] = text.split(":");
  const epoch = Number(epochText);
  const txid = parseTxid(txidText);
  const checksum = parseChecksum(checksumText);
  if (rest.length > 0 || !/^[1-9]\d{0,9}$/.test(epochText) || epoch > 0xffff_ffff) return null;
  return txid === null || checksum === null ? null : { epoch, txid, checksum };
}
