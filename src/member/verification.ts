/**
 * Verification of a running database: every page against the checksums that the journal has proved, and the journal itself.
 *
 * Guarantee: pages and checksums are those of one commit, while writers, readers, rotation and integration go on; no write
 * lock is taken. The read transaction keeps the WAL from being restarted, so a verification is given up when the WAL has
 * grown too far meanwhile. It reads and compares only: what it finds becomes an event and is kept for status.
 */
import { formatPosition, type Position } from "../ltx/position.ts";
import type { Baseline } from "../sqlite/baseline.ts";
import { comparePages } from "../sqlite/compare-pages.ts";
import type { FrozenChecksums } from "../sqlite/page-checksum-table.ts";
import type { MemberContext } from "./member-context.ts";
import type { VerificationResult } from "./member-control.ts";
import { MemberError } from "./member-error.ts";

/** A database at one commit, and what its pages' checksums are there. */
export interface VerificationSource {
  readonly path: string;
  readonly baseline: Baseline;
  readonly checksums: FrozenChecksums;
  readonly position: Position;
  /** Bytes of the WAL now; null when the database was closed. */
  walBytes(): number | null;
}

/** What verification asks of the duty of a database. */
export interface Verifiable {
  readonly name: string;
  /** Null when there is nothing to verify yet. */
  beginVerification(): Promise<VerificationSource | null>;
}

/**
 * Verifies one database and its journal. Throws what keeps it from doing so, and `stop`'s reason when it is aborted.
 * @throws MemberError VERIFICATION_WAL; DatabaseError DATABASE_BUSY when the database was closed meanwhile.
 */
export async function verifyDatabase(
  context: MemberContext,
  duty: Verifiable,
  stop?: AbortSignal,
): Promise<VerificationResult> {
  const database = duty.name;
  const source = await duty.beginVerification();
  if (source === null) {
    return { database, ok: false, position: null, pages: 0, problems: ["no snapshot has been integrated yet"] };
  }
  const compared = await verifyPages(context, database, source, stop);
  const chain = (await context.journal.verifyChain(database)).map((problem) => problem.message);
  const problems = [...compared.problems, ...chain];
  const ok = problems.length === 0;
  report(context, database, source.position, { pages: compared.pages, problems });
  return { database, ok, position: formatPosition(source.position), pages: compared.pages, problems };
}

async function verifyPages(
  context: MemberContext,
  database: string,
  source: VerificationSource,
  stop?: AbortSignal,
): Promise<{ pages: number; problems: readonly string[] }> {
  const { baseline, checksums } = source;
  try {
    return await comparePages(checksums, baseline, () => {
      stop?.throwIfAborted();
      assertWalAllowed(context, database, source);
    });
  } finally {
    checksums.close();
    baseline.close();
  }
}

/** @throws MemberError VERIFICATION_WAL when the WAL must not be held any longer. */
export function assertWalAllowed(context: MemberContext, database: string, source: VerificationSource): void {
  const { path, baseline } = source;
  const bytes = source.walBytes() ?? 0;
  if (context.space.mayHoldWal(path, bytes, baseline.pageCount * baseline.pageSize)) return;
  throw new MemberError("VERIFICATION_WAL", `the WAL grew to ${bytes} bytes while ${database} was verified`, {
    path,
    hint: "It is tried again by schedule; move `journal.verify` to a quieter hour.",
  });
}

function report(
  context: MemberContext,
  database: string,
  position: Position,
  { pages, problems }: { pages: number; problems: readonly string[] },
): void {
  const ok = problems.length === 0;
  const at = formatPosition(position);
  context.store.saveVerification(database, { atMs: context.nowMs(), position, ok });
  if (ok) context.event("info", "VERIFIED", database, `every page is right at ${at}`, { pages });
  else {
    const message = `not what its journal says at ${at}: ${problems[0]}`;
    context.event("error", "VERIFICATION_FAILED", database, message, { pages, problems });
  }
  context.changed();
}
