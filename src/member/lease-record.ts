/** What stands in a mailbox's lease file: who writes into that mailbox. See docs/MAILBOX.md. */
import { z } from "zod";

/** No database can have this name: theirs begin with a letter or a digit. */
export const LEASE_FILE = "inbox/_lease.json";
export const LEASE_MAX_BYTES = 16 * 1024;

const leaseSchema = z.object({
  version: z.literal(1),
  mirror: z.string(),
  member: z.string(),
  epoch: z.int().min(1),
  /** The state directory's own random name; a copy of the directory has the same. */
  instance: z.string(),
  /** Random, of one run of one shipper. */
  session: z.string(),
  /** Grows with every renewal: what does not change is not held by anybody who lives. */
  renewal: z.int().min(0),
  /** Its writer has stopped by itself. */
  released: z.boolean(),
});

export type LeaseRecord = z.infer<typeof leaseSchema>;

export function formatLease(lease: LeaseRecord): string {
  return `${JSON.stringify(lease)}\n`;
}

/** Null when it is no lease that this program understands. */
export function parseLease(text: string): LeaseRecord | null {
  try {
    return leaseSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
