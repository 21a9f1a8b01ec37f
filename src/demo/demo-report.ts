/** What the demonstration prints: a line a second while it runs, a table at the end, one JSON object for programs. */
import type { DatabaseStatus, PositionView } from "../status/member-status.ts";
import type { LagPercentiles } from "./lag-histogram.ts";

interface DemoPosition {
  readonly epoch: number;
  readonly txid: string;
  readonly checksum: string;
}

export interface MemberResult {
  readonly member: string;
  readonly follows: string;
  /** Null when the mirror never had a position. */
  readonly integrated: DemoPosition | null;
  readonly identical: boolean;
  /** From commit to visible for each order, in milliseconds. */
  readonly lagMs: { readonly p50: number | null; readonly p99: number | null };
  readonly reads: number;
  readonly readErrors: number;
}

/** What became of the loss of the operational machine. */
export interface FailoverResult {
  /** Transactions that had been committed there, and are in no database that is left. */
  readonly lost: number;
  /** How long `afterimage promote` took. */
  readonly secondsToPromote: number;
  /** From the loss to the application's first commit on its successor. */
  readonly secondsToRecover: number;
}

/** The object that `--json` prints last. */
export interface DemoResult {
  readonly ok: boolean;
  /** How every file went from member to member. */
  readonly transport: "sftp";
  /** How long the set ran with all readers, as asked for. */
  readonly seconds: number;
  /** Transactions that the application committed. */
  readonly committed: number;
  readonly members: readonly MemberResult[];
  /** Null when no machine was lost. */
  readonly failover: FailoverResult | null;
}

export interface MirrorProgress {
  readonly member: string;
  readonly status: DatabaseStatus | null;
  readonly recentLagMs: LagPercentiles | null;
  readonly readErrors: number;
}

export interface DemoProgress {
  readonly elapsedSeconds: number;
  readonly committed: number;
  readonly segments: number;
  readonly operational: { readonly member: string; readonly status: DatabaseStatus | null };
  readonly mirrors: readonly MirrorProgress[];
}

/** What the lines of {@link formatProgress} show. */
export const PROGRESS_LEGEND =
  "Every second: commits, segments, the last transaction of each member, and the lag from commit to visible (p50/p99).";

export function formatProgress(progress: DemoProgress): string {
  const start = [
    `${String(progress.elapsedSeconds).padStart(3)} s`,
    `${count(progress.committed).padStart(7)} commits`,
    `${count(progress.segments).padStart(5)} segments`,
    `${progress.operational.member} ${transaction(progress.operational.status?.operational)}`,
  ].join("  ");
  return [start, ...progress.mirrors.map(formatMirror)].join(" │ ").trimEnd();
}

/** The table at the end. */
export function formatResult(result: DemoResult, segments: number): string {
  const header = [
    "member",
    "follows",
    "integrated (epoch:txid)",
    "lag p50",
    "lag p99",
    "reads",
    "read errors",
    "identical",
  ];
  const rows = result.members.map((member) => [
    member.member,
    member.follows,
    member.integrated === null ? "-" : `${member.integrated.epoch}:${Number.parseInt(member.integrated.txid, 16)}`,
    milliseconds(member.lagMs.p50),
    milliseconds(member.lagMs.p99),
    count(member.reads),
    count(member.readErrors),
    member.identical ? "yes" : "NO",
  ]);
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return [
    `${count(result.committed)} commits in ${count(segments)} segments, shipped by SFTP`,
    "",
    line(header),
    line(widths.map((width) => "─".repeat(width))),
    ...rows.map(line),
    ...(result.failover === null ? [] : ["", formatFailover(result.failover)]),
  ].join("\n");
}

function formatFailover({ lost, secondsToPromote, secondsToRecover }: FailoverResult): string {
  const promoted = `promoted in ${secondsToPromote.toFixed(1)} s, the application went on ${secondsToRecover.toFixed(1)} s after the loss`;
  return `Loss of the operational machine: ${lost === 0 ? "no commit" : `${count(lost)} COMMITS`} lost; ${promoted}`;
}

function formatMirror({ member, status, recentLagMs, readErrors }: MirrorProgress): string {
  const lag = recentLagMs === null ? "" : `${recentLagMs.p50}/${recentLagMs.p99} ms`;
  const errors = readErrors === 0 ? "" : ` ${readErrors} READ ERRORS`;
  return `${member} ${transaction(status?.integrated)} ${lag.padEnd(11)}${errors}`;
}

function transaction(position: PositionView | null | undefined): string {
  return position ? count(Number.parseInt(position.txid, 16)) : "-";
}

function milliseconds(value: number | null): string {
  return value === null ? "-" : `${value} ms`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
