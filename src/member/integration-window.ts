/** When a schedule of integration last opened and opens next; kept in the state, so that a time that passed while nobody served counts. */
import type { ScheduledTask } from "node-cron";
import type { Schedule } from "../config/configuration.ts";
import type { IntegrationLedger, StoredWindow } from "../journal/integration-ledger.ts";
import { cronTimes, nextTimeMs } from "./cron-times.ts";

export class IntegrationWindow {
  readonly #ledger: IntegrationLedger;
  #times: ScheduledTask | null = null;
  #known: StoredWindow | null = null;

  constructor(ledger: IntegrationLedger) {
    this.#ledger = ledger;
  }

  /**
   * Milliseconds since 1970; `lastMs` is negative infinity before the first time. Null when integration is continuous. Of several
   * times that passed unseen the first counts: nothing was received between them.
   * @param timeZone IANA name; null for the machine's.
   */
  at(integrate: Schedule, timeZone: string | null): { lastMs: number; nextMs: number } | null {
    if (integrate.kind === "continuous") return null;
    const schedule = `${integrate.expression} ${timeZone ?? ""}`;
    if (this.#times === null || this.#known?.schedule !== schedule) {
      this.#times = cronTimes(integrate.expression, timeZone);
      const stored = this.#ledger.window();
      if (stored?.schedule === schedule) this.#known = stored;
      else this.#save({ schedule, lastMs: null, nextMs: nextTimeMs(this.#times) });
    }
    const known = this.#known;
    if (known !== null && Date.now() >= known.nextMs) {
      this.#save({ schedule, lastMs: known.nextMs, nextMs: nextTimeMs(this.#times) });
    }
    const { lastMs = null, nextMs = Number.POSITIVE_INFINITY } = this.#known ?? {};
    return { lastMs: lastMs ?? Number.NEGATIVE_INFINITY, nextMs };
  }

  #save(window: StoredWindow): void {
    this.#known = window;
    this.#ledger.saveWindow(window);
  }
}
