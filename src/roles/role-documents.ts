/** Epochs and role states as JSON: in the state database, and in the status documents by which members tell each other. */
import { z } from "zod";
import { formatPosition, type Position, parsePosition } from "../ltx/position.ts";
import { EPOCH_REASONS, type Epoch } from "./epoch-history.ts";
import type { OpenOffer, RoleState } from "./role-state.ts";

const epochNumber = z.int().min(1).max(0xffff_ffff);
/** `epoch:txid:checksum` by database. */
const starts = z.record(
  z.string(),
  z.string().refine((text) => parsePosition(text) !== null, "not a position"),
);

export const epochDocumentSchema = z
  .object({
    epoch: epochNumber,
    member: z.string(),
    reason: z.enum(EPOCH_REASONS),
    startedAt: z.iso.datetime(),
    starts,
  })
  .refine(({ epoch, starts }) => Object.values(decodeStarts(starts)).every((start) => start.epoch < epoch), {
    message: "an epoch begins in a former one",
  });

export type EpochDocument = z.infer<typeof epochDocumentSchema>;

const offerSchema = z.object({
  id: z.string(),
  epoch: epochNumber,
  from: z.string(),
  to: z.string(),
  starts: starts.nullable(),
});

/** Of a file: only one that says where its epoch begins can be taken. */
export const openOfferSchema = offerSchema.extend({ starts });

const roleStateSchema = z.discriminatedUnion("role", [
  z.object({ role: z.literal("mirror"), epoch: epochNumber }),
  z.object({ role: z.literal("operational"), epoch: epochNumber }),
  z.object({ role: z.literal("claimed"), epoch: epochNumber }),
  z.object({ role: z.literal("offering"), epoch: epochNumber, offer: offerSchema }),
  z.object({ role: z.literal("demoted"), epoch: epochNumber, ends: starts.nullable() }),
  z.object({ role: z.literal("deposed"), epoch: epochNumber, by: epochNumber }),
]);

export function encodeEpoch(epoch: Epoch): EpochDocument {
  return { ...epoch, starts: encodeStarts(epoch.starts) };
}

export function decodeEpoch(document: EpochDocument): Epoch {
  return { ...document, starts: decodeStarts(document.starts) };
}

/** Plain JSON. */
export function encodeRoleState(state: RoleState): unknown {
  if (state.role === "demoted") return { ...state, ends: state.ends === null ? null : encodeStarts(state.ends) };
  if (state.role !== "offering") return state;
  const { starts } = state.offer;
  return { ...state, offer: { ...state.offer, starts: starts === null ? null : encodeStarts(starts) } };
}

export function encodeOpenOffer(offer: OpenOffer): z.infer<typeof openOfferSchema> {
  return { ...offer, starts: encodeStarts(offer.starts) };
}

export function decodeOpenOffer(document: z.infer<typeof openOfferSchema>): OpenOffer {
  return { ...document, starts: decodeStarts(document.starts) };
}

/** From what JSON.parse gave; null when it is no state of a role. */
export function decodeRoleState(value: unknown): RoleState | null {
  const { data } = roleStateSchema.safeParse(value);
  if (data === undefined) return null;
  if (data.role === "demoted") return { ...data, ends: data.ends === null ? null : decodeStarts(data.ends) };
  if (data.role !== "offering") return data;
  const { starts } = data.offer;
  return { ...data, offer: { ...data.offer, starts: starts === null ? null : decodeStarts(starts) } };
}

function encodeStarts(positions: Readonly<Record<string, Position>>): Record<string, string> {
  return Object.fromEntries(Object.entries(positions).map(([name, position]) => [name, formatPosition(position)]));
}

function decodeStarts(texts: Readonly<Record<string, string>>): Record<string, Position> {
  return Object.fromEntries(
    Object.entries(texts).flatMap(([name, text]) => {
      const position = parsePosition(text);
      return position === null ? [] : [[name, position]];
    }),
  );
}
