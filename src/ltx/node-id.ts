/** The NodeID of a segment as Afterimage uses it (docs/FORMAT.md, "Header"): whose commits it holds, and of which reign. */
import { crc32 } from "node:zlib";

/** A database of a member: what the low half of a NodeID tells apart. */
export interface Origin {
  /** Name of the mirror set. */
  readonly mirror: string;
  readonly database: string;
  readonly member: string;
}

/** LTX's "unknown": files of other programs. */
export const NO_NODE_ID = 0n;

/** The epoch in the high 32 bits, {@link originChecksum} in the low. */
export function formatNodeId(epoch: number, origin: Origin): bigint {
  return (BigInt(epoch) << 32n) | BigInt(originChecksum(origin));
}

export function parseNodeId(nodeId: bigint): { epoch: number; originChecksum: number } {
  return { epoch: Number(nodeId >> 32n), originChecksum: Number(nodeId & 0xffff_ffffn) };
}

/** CRC-32, as in zlib, of `mirror/database/member` in UTF-8. Tells mistakes apart; it proves nothing against ill will. */
export function originChecksum({ mirror, database, member }: Origin): number {
  return crc32(`${mirror}/${database}/${member}`);
}
