import { join } from "node:path";
import type { StateStore } from "../journal/state-store.ts";
import type { Selection } from "./open-configuration.ts";

/**
 * Opens the member's state for reading, whether or not its daemon runs. SQLite is loaded only now, as it takes a while.
 * @throws StateError STATE_MISSING, STATE_TOO_NEW, STATE_CORRUPT.
 */
export async function openState({ member }: Selection): Promise<StateStore> {
  const { StateStore } = await import("../journal/state-store.ts");
  return StateStore.openReadOnly(join(member.state, "state.db"));
}
