/** What the state remembers of a mirror's files, so that the next opening recognises them. */
import type { DatabaseRow } from "../journal/state-store.ts";
import { parseChecksum } from "../ltx/position.ts";
import type { MirrorDatabase } from "../sqlite/mirror-database.ts";
import { parseFileFootprint } from "../sqlite/mirror-footprint.ts";
import type { MirrorRecord } from "../sqlite/mirror-opening.ts";
import { parseClosedSignature, parseWalMark, type WalMark } from "../sqlite/wal-mark.ts";
import { type IntegrationIntent, parseIntent } from "./integration-batch.ts";

/** The JSON of a row's `mirrorMark`. @param mark what is to be recorded of the WAL. */
export function recordOf(database: MirrorDatabase | null, mark: WalMark): unknown {
  return { ...mark, ...database?.file };
}

export function parseRecord(
  row: DatabaseRow | null,
): Omit<MirrorRecord, "table"> & { begun: IntegrationIntent | null } {
  const begun = parseIntent(row?.intent);
  return {
    saved: parseWalMark(row?.mirrorMark),
    file: parseFileFootprint(row?.mirrorMark),
    closed: parseClosedSignature(row?.closedSignature),
    intent: begun === null ? null : { pageCount: begun.pageCount, checksum: parseChecksum(begun.checksum ?? "") },
    begun,
  };
}
