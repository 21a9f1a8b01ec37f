/**
 * What every member behind this one has integrated, and when it was last known to be alive. Kept in the state, so that a
 * restart neither forgets a member that is away nor starts its time over.
 */
import { z } from "zod";
import { NO_TXID, parseTxid, type Txid } from "../ltx/position.ts";
import type { FollowerStatus } from "../status/member-status.ts";
import { epochAfter } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";
import type { MemberNeed } from "./retention.ts";

/** A member that lives is seen within this time after a start, so nobody is away before it has passed, whatever the clock says. */
const GRACE_MS = 60_000;
/** How much of a member's time may be forgotten by a crash. */
const SAVE_INTERVAL_MS = 60_000;

/** By database, 16 hexadecimal digits. */
const placesSchema = z.record(z.string(), z.string().regex(/^[0-9a-f]{16}$/));

interface Known {
  readonly places: Readonly<Record<string, string>>;
  readonly seenAtMs: number;
}

export class FollowerNeeds {
  readonly #context: MemberContext;
  readonly #followers: () => Iterable<readonly [string, FollowerStatus]>;
  readonly #startedAtMs: number;
  readonly #known = new Map<string, Known>();

  /** @param followers every member behind this one, as far as receipts say. */
  constructor(context: MemberContext, followers: () => Iterable<readonly [string, FollowerStatus]>) {
    this.#context = context;
    this.#followers = followers;
    this.#startedAtMs = context.nowMs();
    for (const { member, status, seenAtMs } of context.store.receipts()) {
      const places = placesSchema.safeParse(parseJson(status));
      if (places.success) this.#known.set(member, { places: places.data, seenAtMs });
    }
  }

  /** Takes in what receipts say now. A member that has never had anything needs nothing that is old, and is not kept. */
  refresh(): void {
    const nowMs = this.#context.nowMs();
    for (const [member, status] of this.#followers()) {
      const known = this.#known.get(member);
      const told = placesOf(status);
      const places = { ...known?.places, ...told };
      if (Object.keys(places).length === 0) continue;
      const seenAtMs = status.reachable ? nowMs : (known?.seenAtMs ?? nowMs);
      const moved = JSON.stringify(places) !== JSON.stringify(known?.places);
      if (known !== undefined && !moved && seenAtMs - known.seenAtMs < SAVE_INTERVAL_MS) continue;
      for (const [database, place] of Object.entries(told)) {
        this.#noteWayBack(member, database, { before: known?.places[database] ?? "", place });
      }
      this.#known.set(member, { places, seenAtMs });
      this.#context.store.saveReceipt({ member, status: JSON.stringify(places), seenAtMs });
    }
  }

  /** A disk or a virtual machine that was set back: consistent in itself, but what it had acknowledged is no longer there. */
  #noteWayBack(member: string, database: string, { before, place }: { before: string; place: string }): void {
    if (place >= before) return;
    const message = `${member} had acknowledged ${before} and is at ${place} now: it was set back; what it lacks is sent again`;
    this.#context.event("warn", "POSITION_WENT_BACK", database, message, { member, before, now: place });
  }

  of(database: string): MemberNeed[] {
    const { configuration, nowMs } = this.#context;
    const justStarted = nowMs() - this.#startedAtMs < GRACE_MS;
    return [...this.#known].flatMap(([member, { places, seenAtMs }]) => {
      const txid = parseTxid(places[database] ?? "");
      if (txid === null || !configuration.members.has(member)) return [];
      const epoch = epochAfter(this.#context, database, (txid > NO_TXID ? txid - 1n : NO_TXID) as Txid);
      return [{ member, place: { epoch, txid }, seenAtMs: justStarted ? nowMs() : seenAtMs }];
    });
  }
}

/** What was received but not integrated yet is the follower's to keep; before its first integration it is all there is. */
function placesOf({ databases }: FollowerStatus): Record<string, string> {
  const places: Record<string, string> = {};
  for (const [database, { integrated, received }] of Object.entries(databases)) {
    const place = integrated ?? received;
    if (place !== null) places[database] = place;
  }
  return places;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
