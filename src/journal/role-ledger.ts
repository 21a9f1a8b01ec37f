/** The member's role and the history of epochs, as it knows them. src/roles says what they mean. */
import type { Database } from "better-sqlite3";
import { z } from "zod";
import { type Epoch, EpochHistory } from "../roles/epoch-history.ts";
import {
  decodeEpoch,
  decodeRoleState,
  encodeEpoch,
  encodeRoleState,
  epochDocumentSchema,
} from "../roles/role-documents.ts";
import { knownEpoch, type RoleState, reigns } from "../roles/role-state.ts";
import { corrupt, decodeJson } from "./state-decode.ts";
import { StateError } from "./state-error.ts";

const roleRow = z.object({ role: z.enum(["operational", "mirror"]), epoch: z.bigint() });

export class RoleLedger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  state(): RoleState | null {
    const text = this.#hasTable("role_state")
      ? this.#database.prepare<[], string>("SELECT state FROM role_state").pluck().get()
      : undefined;
    if (text !== undefined) return decodeRoleState(decodeJson(text)) ?? fail("a role", text);
    const row = this.#database.prepare<[], unknown>("SELECT role, epoch FROM role").get();
    if (row === undefined) return null;
    const { role, epoch } = roleRow.parse(row);
    return { role, epoch: Number(epoch) };
  }

  /** Call in a transaction. @throws StateError STATE_EPOCH_BACK: a member that has seen an epoch never returns to an older one. */
  save(state: RoleState): void {
    const before = this.state();
    if (before !== null && knownEpoch(before) > knownEpoch(state)) {
      const message = `epoch ${knownEpoch(state)} is older than ${knownEpoch(before)}, which is known`;
      throw new StateError("STATE_EPOCH_BACK", message, {
        path: this.#database.name,
        hint: "Another member took over meanwhile: run `afterimage whois-operational`, and keep what only this one has.",
      });
    }
    this.#database
      .prepare("INSERT OR REPLACE INTO role_state VALUES (1, ?)")
      .run(JSON.stringify(encodeRoleState(state)));
    // For releases that know no more than this.
    this.#database
      .prepare("INSERT OR REPLACE INTO role VALUES (1, ?, ?)")
      .run(reigns(state) ? "operational" : "mirror", knownEpoch(state));
  }

  history(): EpochHistory {
    if (!this.#hasTable("epochs")) return new EpochHistory([]);
    const rows = this.#database.prepare<[], string>("SELECT document FROM epochs ORDER BY epoch").pluck().all();
    return new EpochHistory(rows.map(parseEpoch));
  }

  /** Adds those that are not known yet; what an epoch was never changes. Call in a transaction. */
  addEpochs(epochs: Iterable<Epoch>): void {
    const add = this.#database.prepare("INSERT OR IGNORE INTO epochs VALUES (?, ?)");
    for (const epoch of epochs) add.run(epoch.epoch, JSON.stringify(encodeEpoch(epoch)));
  }

  /** A state that is opened only for reading may not have it yet. */
  #hasTable(name: string): boolean {
    return (
      this.#database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(name) !== undefined
    );
  }
}

function parseEpoch(text: string): Epoch {
  const { data } = epochDocumentSchema.safeParse(decodeJson(text));
  return data === undefined ? fail("an epoch", text) : decodeEpoch(data);
}

function fail(expected: string, found: unknown): never {
  throw corrupt(expected, found);
}
