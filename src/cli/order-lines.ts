import type { OrderResult } from "../member/member-control.ts";

/** What `pause` and `resume` say: a line for each database. */
export function orderLines(orders: readonly OrderResult[]): string[] {
  return orders.map(({ database, paused, until, position }) => {
    const state = paused ? "paused" : until === null ? "integrates" : `integrates until ${until}`;
    return `${database}: ${state}; ${position === null ? "waiting for its snapshot" : `at ${position}`}`;
  });
}
