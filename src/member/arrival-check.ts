/**
 * Whether a file that arrived may enter the journal: its name, size, maker, epoch, page size and chain by its header alone,
 * and only then every page and checksum.
 *
 * Guarantee: what passes is whole, was made for this database of this mirror set in this epoch, and leads from where the
 * journal ends to where it says. It is no protection against somebody who may write to the inbox and means harm: the
 * transport's keys are.
 */
import { FileSource } from "../journal/file-source.ts";
import { isSnapshot, readHeader, type SegmentHeader, tracksChecksums } from "../ltx/header.ts";
import { NO_NODE_ID, originChecksum, parseNodeId } from "../ltx/node-id.ts";
import { type Checksum, formatChecksum, formatTxid, NO_CHECKSUM, type Position, type Txid } from "../ltx/position.ts";
import { SegmentError } from "../ltx/segment-error.ts";
import { largestSegment } from "../ltx/segment-size.ts";
import { decodeTrailer, TRAILER_SIZE } from "../ltx/trailer.ts";
import { type SegmentSummary, verifySegmentInSlices } from "../ltx/verify-segment.ts";
import { isBeyond } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";

/** A file in the inbox, and what its name says. */
export interface Arrival {
  readonly name: string;
  readonly path: string;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
}

type Named = Pick<Arrival, "name">;

/** What must be known to tell whether a file is meant for here. */
type Recipient = Pick<MemberContext, "configuration" | "epoch">;

/** Where the journal ends. */
export interface JournalEnd {
  /** Null before the first segment. */
  readonly position: Position | null;
  /** Bytes; null before the first segment. */
  readonly pageSize: number | null;
}

/** Reads a whole segment, and gives the event loop its turns meanwhile. @throws SegmentError when it is not intact. */
export type SegmentCheck = (source: FileSource) => Promise<SegmentSummary>;

/**
 * Checks the whole file, and gives the event loop its turns meanwhile.
 * @param verify reads it, once its header is right.
 * @throws MemberError, SegmentError: why it must not be taken. What else is thrown says nothing about the file.
 */
export async function checkArrival(
  context: Recipient,
  database: string,
  arrival: Arrival,
  end: JournalEnd,
  verify: SegmentCheck = verifySegmentInSlices,
): Promise<SegmentSummary> {
  using source = new FileSource(arrival.path);
  const header = readHeader(source);
  checkName(arrival, header);
  checkSize(arrival, header, source.size);
  checkMaker(context, database, arrival, header, end);
  checkPageSize(arrival, header, end);
  if (end.position !== null) checkChain(arrival, header, end.position);
  return await verify(source);
}

/** What a mirror has asked its upstream for: the pages in which its copy differs. */
export interface AwaitedDifference {
  /** Database checksum of the copy; null when all pages were asked for. */
  readonly checksum: Checksum | null;
  /** Readers have seen the copy at this transaction. */
  readonly atLeast: Txid;
  /** Bytes; null when the copy may get another. */
  readonly pageSize: number | null;
}

/**
 * As {@link checkArrival}, for the answer to a request for a difference: it leads from the copy as it is to its last
 * transaction, wherever the journal ends.
 */
export async function checkDifference(
  context: Recipient & Pick<MemberContext, "history">,
  database: string,
  arrival: Omit<Arrival, "minTxid">,
  awaited: AwaitedDifference,
): Promise<SegmentSummary> {
  using source = new FileSource(arrival.path);
  const header = readHeader(source);
  const { name, maxTxid } = arrival;
  if (header.maxTxid !== maxTxid) {
    throw new MemberError("SEGMENT_NAME", `${name} ends at ${formatTxid(header.maxTxid)}`);
  }
  checkSize(arrival, header, source.size);
  const { pageSize, checksum, atLeast } = awaited;
  // It may be of any epoch on the way to the newest: where the journal here ends does not matter.
  const { epoch } = parseNodeId(header.nodeId);
  checkMaker({ configuration: context.configuration, epoch }, database, arrival, header, { position: null, pageSize });
  checkPageSize(arrival, header, { position: null, pageSize });
  if (maxTxid < atLeast) {
    throw new MemberError("SEGMENT_CHAIN", `${name} ends before ${formatTxid(atLeast)}, which readers have seen`);
  }
  if (!tracksChecksums(header) || header.nodeId === NO_NODE_ID) {
    throw new MemberError("SEGMENT_CHAIN", `${name} does not say who made it, or which state it leads to`);
  }
  if (!isSnapshot(header) && header.preApplyChecksum !== checksum) {
    const found = formatChecksum(header.preApplyChecksum);
    const message = `${name} is for a copy with checksum ${found}, this one has ${formatChecksum(checksum ?? NO_CHECKSUM)}`;
    throw new MemberError("SEGMENT_CHAIN", message);
  }
  const summary = await verifySegmentInSlices(source);
  if (isBeyond(context, database, { epoch, txid: maxTxid, checksum: summary.postApplyChecksum })) {
    throw new MemberError("SEGMENT_EPOCH", `${name} leads to what is in no later epoch`);
  }
  return summary;
}

/**
 * What ends where the journal has been is dropped unread, once this agrees. A file that leads to another state there is not
 * the journal's, but somebody's transactions that are nowhere else here.
 * @throws MemberError SEGMENT_SENDER, SEGMENT_EPOCH, SEGMENT_CHAIN: it must not be dropped.
 */
export function checkDuplicate(
  context: Recipient & Pick<MemberContext, "store">,
  database: string,
  arrival: Arrival,
  end: JournalEnd,
): void {
  const found = readEnds(arrival.path);
  if (found === null) return;
  checkMaker(context, database, arrival, found.header, end);
  const known = context.store.catalogue
    .endingAt(database, arrival.maxTxid)
    .find(({ epoch }) => epoch === context.epoch);
  const expected = known?.postApplyChecksum ?? NO_CHECKSUM;
  if (expected === NO_CHECKSUM || found.postApplyChecksum === expected) return;
  throw new MemberError(
    "SEGMENT_CHAIN",
    `${arrival.name} leads to checksum ${formatChecksum(found.postApplyChecksum)}, where this mirror's journal has ` +
      `${formatChecksum(expected)}`,
    { hint: "Two histories meet: run `afterimage whois-operational` before anything else." },
  );
}

/** The header and what the trailer says; null when the file is no segment, or not all of one. */
function readEnds(path: string): { header: SegmentHeader; postApplyChecksum: Checksum } | null {
  using source = new FileSource(path);
  try {
    const header = readHeader(source);
    const trailer = new Uint8Array(TRAILER_SIZE);
    source.read(trailer, source.size - TRAILER_SIZE);
    return { header, ...decodeTrailer(new DataView(trailer.buffer), 0) };
  } catch (error) {
    if (error instanceof SegmentError) return null;
    throw error;
  }
}

function checkName({ name, minTxid, maxTxid }: Arrival, header: SegmentHeader): void {
  if (header.minTxid === minTxid && header.maxTxid === maxTxid) return;
  throw new MemberError("SEGMENT_NAME", `${name} holds ${formatTxid(header.minTxid)}-${formatTxid(header.maxTxid)}`);
}

function checkSize({ name }: Named, header: SegmentHeader, bytes: number): void {
  const largest = largestSegment(header);
  if (bytes <= largest) return;
  throw new MemberError(
    "SEGMENT_SIZE",
    `${name} has ${bytes} bytes; ${header.commit} pages of ${header.pageSize} bytes make ${largest} at most`,
  );
}

/** The epoch, and who committed what the file holds. */
function checkMaker(
  context: Recipient,
  database: string,
  { name }: Named,
  { nodeId }: SegmentHeader,
  end: JournalEnd,
): void {
  if (nodeId === NO_NODE_ID) {
    // Litestream's. Behind a journal of ours such a file would be integrated without any proof of whose it is.
    if (end.position === null || end.position.checksum === NO_CHECKSUM) return;
    throw new MemberError("SEGMENT_SENDER", `${name} does not say who made it, and this mirror's journal does`, {
      hint: "Find out who wrote it into the inbox; the right file is asked for again.",
    });
  }
  const { epoch, originChecksum: found } = parseNodeId(nodeId);
  const { mirror, members } = context.configuration;
  if (!isOf(found, mirror, database, members.keys())) throw foreign(context, database, name, found);
  if (epoch !== context.epoch) {
    throw new MemberError("SEGMENT_EPOCH", `${name} is of epoch ${epoch}, not ${context.epoch}`);
  }
}

function isOf(checksum: number, mirror: string, database: string, members: Iterable<string>): boolean {
  return [...members].some((member) => originChecksum({ mirror, database, member }) === checksum);
}

function foreign({ configuration }: Recipient, database: string, name: string, found: number): MemberError {
  const { mirror, members } = configuration;
  const names = new Set([...members.values()].flatMap((member) => [...member.databases.keys()]));
  const other = [...names].find((each) => isOf(found, mirror, each, members.keys()));
  if (other !== undefined) {
    return new MemberError("SEGMENT_SENDER", `${name} is of the database ${other}, not ${database}`, {
      hint: "Something put it into the wrong inbox; the right file is asked for again.",
    });
  }
  return new MemberError(
    "SEGMENT_SENDER",
    `${name} was made by no member of the mirror set ${mirror} for ${database}`,
    {
      hint:
        "Another mirror set may ship to this mailbox. If a member was taken out of the configuration, put it back " +
        "until every mirror has integrated what that member committed.",
    },
  );
}

function checkPageSize({ name }: Named, { pageSize }: SegmentHeader, end: JournalEnd): void {
  if (end.pageSize === null || end.pageSize === pageSize) return;
  throw new MemberError("SEGMENT_PAGE_SIZE", `${name} has pages of ${pageSize} bytes, the mirror ${end.pageSize}`);
}

/** A segment must begin where the journal ends, with the checksum that the journal ends with; a snapshot stands by itself. */
function checkChain({ name }: Arrival, header: SegmentHeader, end: Position): void {
  if (!tracksChecksums(header) && end.checksum !== NO_CHECKSUM) {
    throw new MemberError("SEGMENT_CHAIN", `${name} has no database checksum, and this mirror's journal has`);
  }
  if (isSnapshot(header)) return;
  if (header.minTxid <= end.txid) {
    // Merged by an upstream whose segments had other bounds. It holds the newest image of every page that changed, so it
    // leads to its end from any state within it; that end is proved by the database checksum when it is integrated.
    if (tracksChecksums(header)) return;
    throw new MemberError(
      "SEGMENT_OVERLAP",
      `${name} overlaps what was received up to ${formatTxid(end.txid)}, and has no database checksum`,
    );
  }
  if (header.preApplyChecksum !== NO_CHECKSUM && header.preApplyChecksum !== end.checksum) {
    throw new MemberError(
      "SEGMENT_CHAIN",
      `${name} continues a database with checksum ${formatChecksum(header.preApplyChecksum)}, ` +
        `this mirror's journal ends with ${formatChecksum(end.checksum)}`,
    );
  }
}
