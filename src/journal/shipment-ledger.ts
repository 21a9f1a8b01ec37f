/** What was put into followers' mailboxes, and what other members last said of themselves. */
import type { Database, Statement } from "better-sqlite3";
import type { Txid } from "../ltx/position.ts";
import { decodeTxid } from "./state-decode.ts";

export interface Shipment {
  readonly epoch: number;
  /** Everything up to here was put into the follower's inbox. */
  readonly txid: Txid;
  readonly atMs: number;
}

export interface Receipt {
  readonly member: string;
  /** The text of the member's status document. */
  readonly status: string;
  /** When it was read, by this member's clock. */
  readonly seenAtMs: number;
}

interface RawReceipt {
  member: string;
  status: string;
  seen_at_ms: bigint;
}

export class ShipmentLedger {
  readonly #select: Statement<[string, string], { epoch: bigint; txid: bigint; at_ms: bigint }>;
  readonly #write: Statement;
  readonly #selectReceipts: Statement<[], RawReceipt>;
  readonly #writeReceipt: Statement<[string, string, number]>;

  constructor(database: Database) {
    this.#select = database.prepare("SELECT epoch, txid, at_ms FROM shipments WHERE follower = ? AND database = ?");
    this.#write = database.prepare("INSERT OR REPLACE INTO shipments VALUES (?, ?, ?, ?, ?)");
    this.#selectReceipts = database.prepare("SELECT member, status, seen_at_ms FROM receipts ORDER BY member");
    this.#writeReceipt = database.prepare("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?)");
  }

  get(follower: string, database: string): Shipment | null {
    const row = this.#select.get(follower, database);
    if (row === undefined) return null;
    return { epoch: Number(row.epoch), txid: decodeTxid(row.txid), atMs: Number(row.at_ms) };
  }

  save(follower: string, database: string, shipment: Shipment): void {
    this.#write.run(follower, database, shipment.epoch, shipment.txid, shipment.atMs);
  }

  /** Forgets all that was shipped to a follower: it starts from nothing again. */
  receipts(): Receipt[] {
    return this.#selectReceipts.all().map(decodeReceipt);
  }

  saveReceipt(receipt: Receipt): void {
    this.#writeReceipt.run(receipt.member, receipt.status, receipt.seenAtMs);
  }
}

function decodeReceipt(row: RawReceipt): Receipt {
  return { member: row.member, status: row.status, seenAtMs: Number(row.seen_at_ms) };
}
