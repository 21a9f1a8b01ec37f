/**
 * What the processes of the demonstration tell their parent over the IPC channel. The parent sends one message only,
 * {@link STOP}; a child answers it with a last report, `final`, and ends.
 */
import { z } from "zod";

export const STOP = "stop";

const percentilesSchema = z.object({ p50: z.number(), p99: z.number() });

export const applicationReportSchema = z.object({
  final: z.boolean(),
  /** Transactions committed so far. */
  committed: z.int(),
  /** Orders placed so far. */
  orders: z.int(),
});

export const readerReportSchema = z.object({
  final: z.boolean(),
  /** Transactions of the application that are visible to this reader. */
  commits: z.int(),
  orders: z.int(),
  /** Read transactions so far, whether they found something wrong or not. */
  reads: z.int(),
  /** Complete checks of the invariants, which are among `reads`. */
  checks: z.int(),
  /** Reads that failed, broke an invariant, or went backwards. */
  readErrors: z.int(),
  /** The first few of them, in words. */
  problems: z.array(z.string()),
  /** From commit to visible, since the last report and since the start; null when there was no new order. */
  recentLagMs: percentilesSchema.nullable(),
  lagMs: percentilesSchema.nullable(),
});

export type ApplicationReport = z.infer<typeof applicationReportSchema>;
export type ReaderReport = z.infer<typeof readerReportSchema>;
