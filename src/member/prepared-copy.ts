/** The file of a mirror's first copy, written while the snapshot that it is made of is checked: so each page is decoded once. */
import type { FileSource } from "../journal/file-source.ts";
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { SegmentDecoder } from "../ltx/segment-decoder.ts";
import type { SegmentTrailer } from "../ltx/trailer.ts";
import type { SegmentSummary } from "../ltx/verify-segment.ts";
import { prepareMirror } from "../sqlite/mirror-creation.ts";
import type { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import type { PageRun } from "../sqlite/page-run.ts";
import { pagesOf } from "./merged-segments.ts";

export interface PreparedCopy {
  /** Of the snapshot, which is intact. */
  readonly summary: SegmentSummary;
  /** The snapshot's checksums are staged in it. */
  readonly table: PageChecksumTable;
}

interface Preparation {
  /** Empty. */
  readonly table: PageChecksumTable;
  /** Throws when there is no room for the database. */
  readonly assertRoom: (bytes: number) => void;
  /** The same run, whose pages are counted as progress. */
  readonly counted: (run: PageRun) => PageRun;
}

/** @throws SegmentError when the snapshot is not intact, and as {@link prepareMirror}. There is no file then. */
export async function prepareCopy(
  path: string,
  source: FileSource,
  { table, assertRoom, counted }: Preparation,
): Promise<PreparedCopy> {
  const decoder = new SegmentDecoder(source);
  const { pageSize, commit: pageCount } = decoder.header;
  assertRoom(pageCount * pageSize);
  const trailers: SegmentTrailer[] = [];
  const run: PageRun = { pageSize, pageCount, pages: () => pagesOf(decoder) };
  const verifyEnd = () => void trailers.push(decoder.finish());
  await prepareMirror(path, counted(run), { table, expectedChecksum: null, verifyEnd });
  const [trailer] = trailers;
  if (trailer === undefined) throw new Error("the snapshot was not read to its end");
  return { summary: { header: decoder.header, ...trailer }, table };
}

/** Whether the copy was made of the snapshot that the catalogue describes. */
export function isOf(
  { summary }: PreparedCopy,
  row: Pick<SegmentRow, "maxTxid" | "postApplyChecksum" | "bytes">,
): boolean {
  return (
    summary.header.maxTxid === row.maxTxid &&
    summary.postApplyChecksum === row.postApplyChecksum &&
    summary.bytes === row.bytes
  );
}
