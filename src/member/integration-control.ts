/**
 * What all databases of a mirror have in common in integration: what operators have ordered, the schedule, the errors that
 * stop others, and how many are worked on at a time.
 */
import type { IntegrationOrder } from "../journal/integration-ledger.ts";
import { formatTxid, type Txid } from "../ltx/position.ts";
import { formatUntil, type GateFacts, parseUntil } from "./integration-gate.ts";
import { IntegrationWindow } from "./integration-window.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";
import { Slots } from "./slots.ts";

/** Each holds a batch in memory. More do not make it faster: commits are small, and one core does the rest. */
const WORKERS = 4;

export interface GateOptions {
  /** Leaves out the delay and the schedule. */
  readonly now?: boolean;
  /** Whether a database that has an error itself is tried in spite of the errors of others: else two would wait for each other. */
  readonly isRetry?: boolean;
}

export class IntegrationControl {
  /** A place in them is held for one batch. */
  readonly slots = new Slots(WORKERS);
  readonly #context: MemberContext;
  readonly #window: IntegrationWindow;

  constructor(context: MemberContext) {
    this.#context = context;
    this.#window = new IntegrationWindow(context.store.integration);
  }

  order(database: string): IntegrationOrder {
    return this.#context.store.integration.order(database);
  }

  facts(database: string, { now = false, isRetry = false }: GateOptions = {}): GateFacts {
    const { self, configuration, store } = this.#context;
    const { paused, until } = this.order(database);
    // No copy could show what was before the first snapshot: to wait with it would protect nothing.
    const atOnce = now || (store.database(database)?.integrated ?? null) === null;
    return {
      nowMs: this.#context.nowMs(),
      paused,
      until: until === null ? null : parseUntil(until),
      delayMs: atOnce ? 0 : self.delayMs,
      window: atOnce ? null : this.#window.at(self.integrate, configuration.timeZone),
      failed: this.#failedBeside(database, isRetry),
    };
  }

  #failedBeside(database: string, isRetry: boolean): string[] {
    const { self, store, databases } = this.#context;
    const hasFailed = (name: string) => (store.database(name)?.error ?? null) !== null;
    if (self.type !== "reporting" || (isRetry && hasFailed(database))) return [];
    return [...databases.keys()].filter((name) => name !== database && hasFailed(name));
  }

  /** @param databases null for all, also those that come later. */
  pause(databases: readonly string[] | null): void {
    this.#save(databases, { paused: true, until: null });
    this.#report("PAUSED", databases, "integration was paused by an operator", { by: "operator" });
  }

  /** @param until where integration stops, as text of the gate; null for nowhere. */
  resume(databases: readonly string[] | null, until: string | null): void {
    this.#save(databases, { paused: false, until });
    const where = until === null ? "" : `, until ${until}`;
    this.#report("RESUMED", databases, `integration was resumed by an operator${where}`, { by: "operator", until });
  }

  #save(databases: readonly string[] | null, order: IntegrationOrder): void {
    const { store } = this.#context;
    store.transaction(() => {
      if (databases === null) store.integration.saveForAll(order);
      else for (const name of databases) store.integration.save(name, order);
    });
    this.#context.changed();
  }

  #report(code: string, databases: readonly string[] | null, message: string, data: Record<string, unknown>): void {
    for (const name of databases ?? [null]) this.#context.event("info", code, name, message, data);
  }
}

/** What {@link orderUntil} asks of a database. */
interface Reaching {
  readonly name: string;
  /** The last transaction that is integrated, or has been begun to be; null when none is. */
  readonly reached: { readonly txid: Txid; readonly timeMs: number } | null;
}

/**
 * Orders where integration stops, for all of the databases or, when one is beyond it already, for none.
 * @throws MemberError UNTIL_PASSED, UNTIL_OF_MANY.
 */
export function orderUntil(
  control: IntegrationControl,
  databases: readonly Reaching[],
  order: { readonly names: readonly string[] | null; readonly until: string },
): void {
  const until = parseUntil(order.until);
  if (until === null) throw new TypeError(`neither a transaction ID nor a time: ${order.until}`);
  if (until.kind === "txid" && databases.length > 1) {
    throw new MemberError("UNTIL_OF_MANY", "every database has transaction IDs of its own, and several are meant", {
      hint: "Name the database, or give a time.",
    });
  }
  for (const { name, reached } of databases) {
    if (reached === null || (until.kind === "txid" ? reached.txid <= until.txid : reached.timeMs <= until.timeMs))
      continue;
    const { txid, timeMs } = reached;
    const message = `${name} has integrated ${formatTxid(txid)}, cut at ${new Date(timeMs).toISOString()}: that is beyond ${order.until}`;
    throw new MemberError("UNTIL_PASSED", message, {
      hint: "Nothing was changed. `afterimage restore` puts an older state into a new file.",
    });
  }
  control.resume(order.names, formatUntil(until));
}
