/**
 * A member's alerts: raised and cleared by what the member knows, kept in its state, and put into the queues of those who
 * are to be told.
 *
 * Guarantee: that an alert is raised or cleared, the event, and what is queued become durable together or not at all; so a
 * restart neither repeats nor forgets any of them. A state that takes no writes (a full disk) raises nothing: it is tried
 * again at each look, and {@link isHealthy} is false meanwhile, which ends the pings.
 */
import { randomUUID } from "node:crypto";
import { noticeLine, noticeOf, parseRaised } from "../alerts/alert-notice.ts";
import { type AlertChange, type AlertRegister, judge, openRegister, raisedIn } from "../alerts/alert-register.ts";
import { type AlertFacts, findings } from "../alerts/alert-rules.ts";
import { type AlertConfiguration, alertConfiguration } from "../config/alert-configuration.ts";
import type { AlertView } from "../status/member-status.ts";
import type { MemberContext } from "./member-context.ts";
import { pause } from "./pause.ts";
import { Signal } from "./signal.ts";

const LOOK_INTERVAL_MS = 5_000;
/** So many times as long as a look takes is between two of them: with a thousand databases it takes a tenth of a second. */
const REST_FOR_COST = 50;
/** Of each channel; the oldest go first. */
const QUEUED = 200;

/** Who is told, besides events and the log. */
export const ALERT_CHANNELS = ["hook", "webhook", "mail"] as const;
export type AlertChannel = (typeof ALERT_CHANNELS)[number];

export class MemberAlerts {
  /** Set when something was put into the queue of a channel. */
  readonly queued: Readonly<Record<AlertChannel, Signal>> = {
    hook: new Signal(),
    webhook: new Signal(),
    mail: new Signal(),
  };
  readonly #context: MemberContext;
  readonly #facts: (unknownMs: AlertFacts["unknownMs"]) => AlertFacts;
  readonly #clockMs: () => number;
  #register: AlertRegister;
  /** What was not known at the last look, and since when, by the clock that only grows. */
  #unknownSince: ReadonlyMap<string, number> = new Map();
  #isKept = false;

  /**
   * @param facts gathers them; told for how long something has not been known.
   * @param clockMs milliseconds that only grow, from any start.
   */
  constructor(
    context: MemberContext,
    facts: (unknownMs: AlertFacts["unknownMs"]) => AlertFacts,
    clockMs = () => performance.now(),
  ) {
    this.#context = context;
    this.#facts = facts;
    this.#clockMs = clockMs;
    const kept = context.store.alerts.raised().map(parseRaised);
    this.#register = openRegister(kept.filter((alert) => alert !== null));
  }

  get configuration(): AlertConfiguration {
    return alertConfiguration(this.#context.configuration, this.#context.self);
  }

  /** Alerts that are raised, the worst first. */
  get view(): AlertView[] {
    const raised = raisedIn(this.#register).sort((a, b) => rank(a) - rank(b) || a.sinceMs - b.sinceMs);
    return raised.map(({ code, level, subject, message, hint, sinceMs }) => ({
      ...{ code, level, subject, message, hint },
      since: new Date(sinceMs).toISOString(),
    }));
  }

  /** Whether no alert of level `error` is raised, as far as anybody has looked. */
  get isHealthy(): boolean {
    return this.#isKept && raisedIn(this.#register).every(({ level }) => level !== "error");
  }

  /** Looks until `stop` is aborted. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const beganMs = performance.now();
      this.look();
      await pause(Math.max(LOOK_INTERVAL_MS, REST_FOR_COST * (performance.now() - beganMs)), stop);
    }
    this.#isKept = false;
  }

  /** Looks once. */
  look(): void {
    try {
      this.#lookAndKeep();
      this.#isKept = true;
    } catch (error) {
      // Nothing here may keep the member from its work; that the pings end tells somebody.
      this.#isKept = false;
      this.#context.logger.error({ err: error }, "alerts cannot be judged, or not be kept");
    }
  }

  #lookAndKeep(): void {
    const clockMs = this.#clockMs();
    const unknown = new Map<string, number>();
    const facts = this.#facts((what) => {
      const sinceMs = this.#unknownSince.get(what) ?? clockMs;
      unknown.set(what, sinceMs);
      return clockMs - sinceMs;
    });
    const look = { findings: findings(facts), nowMs: facts.nowMs, clockMs, makeId: randomUUID };
    this.#unknownSince = unknown;
    const { register, changes } = judge(this.#register, look);
    if (changes.length > 0) this.#keep(changes);
    this.#register = register;
    if (changes.length > 0) this.#context.changed();
  }

  #keep(changes: readonly AlertChange[]): void {
    const channels = this.#channels();
    this.#context.store.transaction(() => {
      for (const change of changes) this.#keepOne(change, channels);
    });
    for (const channel of channels) this.queued[channel].set();
  }

  #keepOne(change: AlertChange, channels: readonly AlertChannel[]): void {
    const { store, configuration, self, nowMs, event } = this.#context;
    const { kind, alert } = change;
    const atMs = nowMs();
    if (kind === "raised") store.alerts.save(alert.id, JSON.stringify(alert));
    else store.alerts.delete(alert.id);
    const notice = noticeOf(change, { mirror: configuration.mirror, member: self.name, nowMs: atMs });
    const queued = { id: notice.id, document: JSON.stringify(notice), atMs };
    for (const channel of channels) store.alerts.enqueue(channel, queued, QUEUED);
    const data = { alert: alert.code, subject: alert.subject, id: alert.id, hint: alert.hint };
    if (kind === "raised") event(alert.level, "ALERT_RAISED", alert.database, noticeLine(notice), data);
    else event("info", "ALERT_CLEARED", alert.database, noticeLine(notice), data);
  }

  #channels(): AlertChannel[] {
    const { webhook, mail } = this.configuration;
    const isUsed = {
      hook: this.#context.self.hooks.alert !== undefined,
      webhook: webhook !== null,
      mail: mail !== null,
    };
    return ALERT_CHANNELS.filter((channel) => isUsed[channel]);
  }
}

function rank({ level }: { level: "warn" | "error" }): number {
  return level === "error" ? 0 : 1;
}
