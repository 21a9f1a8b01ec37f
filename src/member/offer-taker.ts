/**
 * The side of a hand-over that takes the role: looks into this member's own inbox for an offer, and takes or refuses it.
 *
 * Guarantee: the epoch begins only if its file was renamed while the member that made the offer said in its status that it
 * may be taken, and only on copies that are at the very position where it begins. From the renaming on, its maker finds that
 * it was taken, and does not withdraw it; then the role changes, in one step with the history. Whoever dies in between
 * goes on when it is started again.
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { fsyncDirectory, removeFile } from "../durable-files.ts";
import { errnoOf } from "../errno.ts";
import { formatPosition } from "../ltx/position.ts";
import { type Epoch, nextEpoch } from "../roles/epoch-history.ts";
import { knownEpoch, type OpenOffer } from "../roles/role-state.ts";
import type { HandoverView } from "../status/member-status.ts";
import { errorView } from "./error-view.ts";
import { holdingAll } from "./holding-all.ts";
import { entriesOf, INBOX, readSmallFile } from "./inbox-entries.ts";
import type { Member } from "./member.ts";
import { MemberError } from "./member-error.ts";
import {
  OFFER_MAX_BYTES,
  type OfferFile,
  type OfferStage,
  offerFileName,
  parseOffer,
  parseOfferFileName,
} from "./offer-file.ts";
import { readStatusOrHangUp } from "./peer-status.ts";

export class OfferTaker {
  readonly #member: Member;
  #refused: HandoverView | null = null;
  /** The offer that was found last. */
  #foundId: string | null = null;

  constructor(member: Member) {
    this.#member = member;
  }

  /** Of this member's own mailbox. */
  get directory(): string {
    return join(this.#member.context.self.directory, INBOX);
  }

  /** The offer that was refused last. */
  get refused(): HandoverView | null {
    return this.#refused;
  }

  /** Looks once. @returns whether an offer waits for something, so that it should be looked at again soon. */
  async look(): Promise<boolean> {
    let waits = false;
    const entries = entriesOf(this.directory);
    // Its maker has seen the refusal, and taken the file away.
    if (this.#refused !== null && !entries.includes(offerFileName("offer", this.#refused.id))) this.#refused = null;
    for (const name of entries) {
      const found = parseOfferFileName(name);
      const file = found === null ? null : this.#read(found.stage, found.id);
      if (found === null || file === null) continue;
      const act = { offer: this.#consider, taken: this.#finish, refused: this.#clear }[found.stage];
      if (await act.call(this, file)) waits = true;
    }
    return waits;
  }

  /** An offer that may still be withdrawn. @returns whether it can neither be taken nor refused yet. */
  async #consider(file: OfferFile): Promise<boolean> {
    const { context, roles } = this.#member;
    const { offer } = file;
    if (offer.id === this.#refused?.id || knownEpoch(roles.state) >= offer.epoch) return false;
    if (this.#isFaulty(file)) return false;
    if (offer.id !== this.#foundId) context.steps.done("switchover:found", `${offer.from} offers epoch ${offer.epoch}`);
    this.#foundId = offer.id;
    const answer = await this.#askMaker(offer);
    if (answer === "gone") this.#rename(offer.id, "offer", "refused");
    if (answer !== "open") return answer !== "gone";
    if (context.self.hooks.beforePromote !== undefined) {
      if (!(await this.#consents(offer))) return false;
      if ((await this.#askMaker(offer)) !== "open") return true;
    }
    const isTaken = await this.#exclusively(
      async () => !this.#isFaulty(file) && this.#rename(offer.id, "offer", "taken"),
    );
    if (!isTaken) return false;
    context.steps.done("switchover:taken", `${context.self.name} has taken the offer`);
    return await this.#finish(file);
  }

  /**
   * One that this member has taken. Its maker is asked once more: it may have withdrawn it, and said so, before it was taken,
   * if the file came late. If not, it finds that the offer was taken whenever it looks. A file that has done its work goes.
   * @returns whether the maker cannot be asked now.
   */
  async #finish(file: OfferFile): Promise<boolean> {
    const { roles } = this.#member;
    const { offer } = file;
    if (knownEpoch(roles.state) >= offer.epoch) return this.#clear(file);
    const answer = await this.#askMaker(offer);
    if (answer === "unknown") return true;
    await this.#exclusively(async () => {
      const fault = answer === "open" ? this.#faultOf(file) : refusal("it was withdrawn");
      if (fault === null) this.#claim(offer);
      else if (this.#rename(offer.id, "taken", "refused")) this.#refuse(offer, fault);
    });
    return false;
  }

  /** Removes what has become of an offer once its maker has gone on: until then it looks for it. */
  async #clear({ offer }: OfferFile): Promise<boolean> {
    const status = this.#member.peers.get(offer.from)?.status ?? null;
    if (status === null || status.handover?.id === offer.id) return false;
    for (const stage of ["taken", "refused"] as const) removeFile(this.#path(stage, offer.id));
    return false;
  }

  /** What the maker says of it now: what it offers, and what it withdraws, it says first. `gone`: it does not know of it any more. */
  async #askMaker({ from, id }: OpenOffer): Promise<"open" | "closed" | "gone" | "unknown"> {
    const peer = this.#member.peers.get(from);
    if (peer === undefined) return "unknown";
    const before = peer.documentsRead;
    const isRead = await readStatusOrHangUp(peer);
    // A document that is not there, or not understood, leaves what was known before.
    if (!isRead || peer.status === null || peer.documentsRead === before) return "unknown";
    const { handover } = peer.status;
    if (handover?.id !== id) return "gone";
    return handover.state === "offered" ? "open" : "closed";
  }

  async #consents(offer: OpenOffer): Promise<boolean> {
    try {
      await this.#member.hooks.askToPromote(offer.epoch, false);
      return true;
    } catch (error) {
      this.#refuse(offer, error);
      return false;
    }
  }

  #isFaulty(file: OfferFile): boolean {
    const fault = this.#faultOf(file);
    if (fault !== null) this.#refuse(file.offer, fault);
    return fault !== null;
  }

  /** Why it cannot be taken by this member as it is; null when it can. */
  #faultOf({ mirror, of, offer }: OfferFile): MemberError | null {
    const { context, roles } = this.#member;
    const { configuration, self } = context;
    const names = [...configuration.members.keys()];
    if (mirror !== configuration.mirror) return refusal(`it is of mirror set ${mirror}`);
    if (offer.to !== self.name) return refusal(`it is for ${offer.to}`);
    if (self.type === "reporting") return refusal(`${self.name} is of type reporting`);
    if (roles.state.role !== "mirror") return refusal(`${self.name} is no mirror that follows`);
    if (offer.from !== roles.operational) return refusal(`${offer.from} is not operational, but ${roles.operational}`);
    if (of !== roles.epoch) return refusal(`it follows epoch ${of}, not ${roles.epoch}`);
    if (offer.epoch !== nextEpoch(of, self.name, names))
      return refusal(`epoch ${offer.epoch} is not ${self.name}'s next`);
    const different = this.#firstDifferent(offer);
    return different === null ? null : refusal(different);
  }

  #firstDifferent({ starts }: OpenOffer): string | null {
    const { store, databases } = this.#member.context;
    for (const name of new Set([...Object.keys(starts), ...databases.keys()])) {
      const start = starts[name];
      if (start === undefined) return `it does not say where ${name} begins`;
      if (!databases.has(name)) return `there is no copy of ${name}`;
      const { received = null, integrated = null, intent = null, error = null } = store.database(name) ?? {};
      const places = [received, integrated].map((place) => (place === null ? "nothing" : formatPosition(place)));
      const wrong = places.find((place) => place !== formatPosition(start));
      if (wrong !== undefined) return `${name} is at ${wrong}, and it begins at ${formatPosition(start)}`;
      if (intent !== null || error !== null) return `${name} is ${error === null ? "being changed" : error.message}`;
    }
    return null;
  }

  #claim(offer: OpenOffer): void {
    const { context, roles } = this.#member;
    const { epoch, from, to, starts } = offer;
    const startedAt = new Date(context.nowMs()).toISOString();
    const begun: Epoch = { epoch, member: to, reason: "switchover", startedAt, starts };
    const refused = roles.apply({ type: "claim", offer }, begun);
    if (refused !== null) throw new Error(`an offer was taken that cannot be claimed: ${refused}`);
    context.event("warn", "OFFER_TAKEN", null, `${from} hands over to this member in epoch ${epoch}`, { epoch, from });
    context.steps.done("switchover:claimed", `epoch ${epoch} has begun on ${to}`);
  }

  #refuse({ id, epoch, to, from }: OpenOffer, fault: unknown): void {
    const { context } = this.#member;
    const error = errorView(fault, context.nowMs());
    this.#refused = { id, epoch, to, state: "refused", error };
    context.event("warn", "OFFER_REFUSED", null, `what ${from} offers is refused: ${error.message}`, { epoch, from });
    context.changed();
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    return await holdingAll([...this.#member.mirrors.values()], work);
  }

  /** Null when it is not there any more, or no offer. */
  #read(stage: OfferStage, id: string): OfferFile | null {
    const text = readSmallFile(this.#path(stage, id), OFFER_MAX_BYTES);
    const file = text === null ? null : parseOffer(text);
    return file?.offer.id === id ? file : null;
  }

  /** False when it is not there any more: it was withdrawn. */
  #rename(id: string, from: OfferStage, to: OfferStage): boolean {
    try {
      renameSync(this.#path(from, id), this.#path(to, id));
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw error;
    }
    fsyncDirectory(this.directory);
    return true;
  }

  #path(stage: OfferStage, id: string): string {
    return join(this.directory, offerFileName(stage, id));
  }
}

function refusal(reason: string): MemberError {
  return new MemberError("OFFER_REFUSED", `the offer cannot be taken: ${reason}`, {
    hint: "Nothing has changed. Remove the reason, and run `afterimage switchover` again.",
  });
}
