/**
 * Another member as this one sees it: its mailbox, and what its status document said last.
 *
 * Whether a peer is alive is judged by this machine's clock alone: its heartbeat has moved within the last
 * {@link HEARTBEAT_LIMIT_MS}. Two machines' clocks are never compared.
 */
import type { MemberConfiguration, SshConfiguration } from "../config/configuration.ts";
import { type MemberStatus, parseMemberStatus } from "../status/member-status.ts";
import { parseLifeSign, withLifeSign } from "../status/status-document.ts";
import { openTransport } from "../transport/open-transport.ts";
import type { Transport } from "../transport/transport.ts";

/** Five heartbeats of 2 s. */
const HEARTBEAT_LIMIT_MS = 10_000;
/** A database takes a kilobyte, and some 200 bytes for each member behind. */
const STATUS_MAX_BYTES = 32 * 1024 * 1024;

export const STATUS_FILE = "status.json";

export class Peer {
  #member: MemberConfiguration;
  #ssh: SshConfiguration;
  readonly #nowMs: () => number;
  readonly #onStatus: (status: MemberStatus) => void;
  #transport: Transport | null = null;
  #status: MemberStatus | null = null;
  /** The fingerprint of {@link #status}; null when it has none. */
  #contents: string | null = null;
  #heartbeatMovedAtMs: number | null = null;
  #readAtMs: number | null = null;
  #documentsRead = 0;
  #writtenAfterMs: number | null = null;
  /** The heartbeat seen at the first look proves nothing: the file may be old. */
  #firstHeartbeat: string | null = null;

  /** @param onStatus told of every status document that was read. */
  constructor(
    member: MemberConfiguration,
    ssh: SshConfiguration,
    nowMs: () => number,
    onStatus: (status: MemberStatus) => void = () => {},
  ) {
    this.#member = member;
    this.#ssh = ssh;
    this.#nowMs = nowMs;
    this.#onStatus = onStatus;
  }

  get member(): MemberConfiguration {
    return this.#member;
  }

  /** Takes another configuration; the next connection is made by it, so the present one should have been dropped before. */
  configure(member: MemberConfiguration, ssh: SshConfiguration): void {
    this.#member = member;
    this.#ssh = ssh;
  }

  /** What the peer published last, however old; null when nothing was ever read. */
  get status(): MemberStatus | null {
    return this.#status;
  }

  /** How many of its documents were there and understood. It grows also where a document says what was known. */
  get documentsRead(): number {
    return this.#documentsRead;
  }

  /** When its heartbeat was last seen to move, by this machine's clock. */
  get heartbeatMovedAtMs(): number | null {
    return this.#heartbeatMovedAtMs;
  }

  /** The newest status was written after this time of this machine's clock; null while its heartbeat was not seen to move. */
  get writtenAfterMs(): number | null {
    return this.#writtenAfterMs;
  }

  get alive(): boolean {
    return this.#heartbeatMovedAtMs !== null && this.#nowMs() - this.#heartbeatMovedAtMs < HEARTBEAT_LIMIT_MS;
  }

  /** The connection to the mailbox, opened at the first use. */
  transport(): Transport {
    this.#transport ??= openTransport(this.member, this.#ssh);
    return this.#transport;
  }

  /**
   * Reads the status document anew; of one whose sign of life says that all else is as it was, no more than that.
   * Throws TransportError when the mailbox cannot be read.
   */
  async refresh(): Promise<void> {
    const beganAtMs = this.#nowMs();
    const isEnough = (beginning: Uint8Array) => this.#knownBut(beginning) !== null;
    const bytes = await this.transport().read(STATUS_FILE, { maxBytes: STATUS_MAX_BYTES, isEnough });
    const status = bytes === null ? null : (this.#knownBut(bytes) ?? this.#parse(bytes));
    if (status === null) return;
    if (this.#firstHeartbeat === null) this.#firstHeartbeat = status.heartbeat;
    else if (status.heartbeat !== this.#status?.heartbeat) {
      this.#heartbeatMovedAtMs = this.#nowMs();
      // The read before this one has not seen it yet.
      this.#writtenAfterMs = this.#readAtMs;
    }
    this.#readAtMs = beganAtMs;
    this.#documentsRead++;
    this.#status = status;
    this.#onStatus(status);
  }

  /** What is known, with another sign of life; null when more than that has changed. */
  #knownBut(document: Uint8Array): MemberStatus | null {
    const sign = parseLifeSign(document);
    if (this.#status === null || sign === null || sign.contents !== this.#contents) return null;
    return withLifeSign(this.#status, sign);
  }

  #parse(document: Uint8Array): MemberStatus | null {
    const status = parseMemberStatus(Buffer.from(document).toString("utf8"));
    if (status === null || status.member !== this.member.name) return null;
    this.#contents = parseLifeSign(document)?.contents ?? null;
    return status;
  }

  /** Drops the connection, so that the next use makes a new one. */
  async disconnect(): Promise<void> {
    const transport = this.#transport;
    this.#transport = null;
    await transport?.close();
  }
}
