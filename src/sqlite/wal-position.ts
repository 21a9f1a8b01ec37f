/** Comparing places in the WAL. */
import type { WalPosition } from "./wal-format.ts";

interface Generation {
  readonly salt1: number;
  readonly salt2: number;
}

/** Whether both are of the same generation, that is, of the WAL between two restarts. */
export function sameGeneration(a: Generation, b: Generation): boolean {
  return a.salt1 === b.salt1 && a.salt2 === b.salt2;
}

export function samePosition(a: WalPosition, b: WalPosition): boolean {
  return sameGeneration(a, b) && a.frame === b.frame && a.checksum1 === b.checksum1 && a.checksum2 === b.checksum2;
}
