/**
 * The offer of an epoch as a file in the inbox of the member that is to take it; docs/MAILBOX.md, "An offer". Its name says
 * what has become of it, and every change of the name is the whole step: the one who took it away decides.
 */
import { z } from "zod";
import { decodeOpenOffer, encodeOpenOffer, openOfferSchema } from "../roles/role-documents.ts";
import type { OpenOffer } from "../roles/role-state.ts";
import { INBOX } from "./inbox-entries.ts";

export const OFFER_MAX_BYTES = 4 * 1024 * 1024;

/** `offer`: may be taken or withdrawn. `taken`, `refused`: by whose mailbox it is, for good. */
export type OfferStage = "offer" | "taken" | "refused";

/** No database can have such a name: theirs begin with a letter or a digit. */
const NAME = /^_(offer|taken|refused)-([0-9a-f]{16})\.json$/;

const fileSchema = z.object({ version: z.literal(1), mirror: z.string(), of: z.int().min(1), offer: openOfferSchema });

export interface OfferFile {
  readonly mirror: string;
  /** The epoch that the offering member reigns in. */
  readonly of: number;
  readonly offer: OpenOffer;
}

/** Of a file in an inbox. */
export function offerFileName(stage: OfferStage, id: string): string {
  return `_${stage}-${id}.json`;
}

/** Below a mailbox, with slashes. */
export function offerName(stage: OfferStage, id: string): string {
  return `${INBOX}/${offerFileName(stage, id)}`;
}

/** The inverse of {@link offerFileName}; null for any other name. */
export function parseOfferFileName(name: string): { readonly stage: OfferStage; readonly id: string } | null {
  const [, stage, id = ""] = NAME.exec(name) ?? [];
  return stage === "offer" || stage === "taken" || stage === "refused" ? { stage, id } : null;
}

export function formatOffer({ mirror, of, offer }: OfferFile): string {
  return `${JSON.stringify({ version: 1, mirror, of, offer: encodeOpenOffer(offer) })}\n`;
}

/** Null when it is no offer that this program understands. */
export function parseOffer(text: string): OfferFile | null {
  try {
    const { data } = fileSchema.safeParse(JSON.parse(text));
    return data === undefined ? null : { ...data, offer: decodeOpenOffer(data.offer) };
  } catch {
    return null;
  }
}
