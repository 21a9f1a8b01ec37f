/** What the page needs of this member: samples as long as it is served, and everything that is known when somebody looks. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { backupConfiguration } from "../config/configuration.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import type { SegmentTotals } from "../journal/segment-catalogue.ts";
import { buildPageView } from "../page/build-page-view.ts";
import type { KnownMember } from "../page/member-ages.ts";
import { PageSamples } from "../page/page-samples.ts";
import type { PageView } from "../page/page-view.ts";
import { SAMPLE_INTERVAL_MS } from "../page/sample-ring.ts";
import type { PageQuery, PageSource } from "../page/serve-page.ts";
import type { MemberStatus } from "../status/member-status.ts";
import type { Member } from "./member.ts";
import { ownBackups } from "./own-backups.ts";
import { pause } from "./pause.ts";
import { Remembered } from "./remembered.ts";

/** Counting the segments of hundreds of databases takes a second, in parts. */
const TOTALS_FRESH_MS = 60_000;
const BACKUPS_FRESH_MS = 5_000;
const EVENTS_SHOWN = 60;

interface MemberPageOptions {
  /** Every member as it is known here, this one too. */
  members(): readonly MemberStatus[];
  /** Of this program. */
  readonly version: string;
  /** By which browsers reach it, of the configuration. */
  readonly names: readonly string[];
}

export class MemberPage implements PageSource {
  readonly #member: Member;
  readonly #options: MemberPageOptions;
  readonly #samples: PageSamples;
  readonly #totals: Remembered<Promise<SegmentTotals>>;
  readonly #backups: Remembered<ReadonlyMap<string, number>>;

  constructor(member: Member, options: MemberPageOptions) {
    this.#member = member;
    this.#options = options;
    this.#samples = new PageSamples(member.context.self.name);
    this.#totals = new Remembered(TOTALS_FRESH_MS, () => this.#count());
    this.#backups = new Remembered(BACKUPS_FRESH_MS, () => ownBackups(member.context));
  }

  get names(): readonly string[] {
    const mailbox = parseMailbox(this.#member.context.self.mailbox);
    const own = typeof mailbox !== "string" && mailbox.kind === "sftp" ? [mailbox.host] : [];
    return [...own, ...this.#options.names];
  }

  /** Takes samples until `stop` is aborted. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const { tally, nowMs } = this.#member.context;
      this.#samples.take({ known: this.#known(), tally, nowMs: nowMs() });
      await pause(SAMPLE_INTERVAL_MS, stop);
    }
  }

  async view({ spanMs, level }: PageQuery): Promise<PageView> {
    const { configuration, self, store, nowMs } = this.#member.context;
    const totals = await this.#totals.value();
    const known = this.#known();
    const own = known.find(({ status }) => status.member === self.name);
    if (own === undefined) throw new Error(`${self.name} does not know itself`);
    const names = known.map(({ status }) => status.member);
    return buildPageView({
      ...{ known, totals, self: own.status, version: this.#options.version },
      journal: configuration.journal,
      backup: backupConfiguration(self),
      backups: this.#backups.value(),
      events: store.events({ limit: EVENTS_SHOWN, level }),
      flows: this.#samples.flows,
      history: this.#samples.history(names, spanMs, nowMs()),
      nowMs: nowMs(),
    });
  }

  #known(): KnownMember[] {
    const { context, peers } = this.#member;
    return this.#options.members().map((status) => {
      const peer = peers.get(status.member);
      const writtenAfterMs = peer === undefined ? context.nowMs() : peer.writtenAfterMs;
      const newsSeconds = writtenAfterMs === null ? null : Math.max(0, context.nowMs() - writtenAfterMs) / 1000;
      return { status, newsSeconds };
    });
  }

  async #count(): Promise<SegmentTotals> {
    const { context } = this.#member;
    const sum = { segments: 0, snapshots: 0, bytes: 0 };
    for (const database of context.journals()) {
      const { segments, snapshots, bytes } = context.store.catalogue.totals(database);
      sum.segments += segments;
      sum.snapshots += snapshots;
      sum.bytes += bytes;
      await nextTurn();
    }
    return sum;
  }
}
