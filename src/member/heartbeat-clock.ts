/** What a heartbeat that moves tells of another member's clock. For people only: members never compare their clocks. */
import { setTimeout as delay } from "node:timers/promises";
import { type CheckResult, ok, warning } from "./check-result.ts";
import type { Peer } from "./peer.ts";

/** A daemon's heartbeat moves every 2 s. */
const HEARTBEAT_WAIT_MS = 6_000;
const POLL_MS = 200;

/** When something was written by the other clock, between two times by this one, in milliseconds since 1970. */
export interface ClockReading {
  readonly writtenMs: number;
  readonly beforeMs: number;
  readonly afterMs: number;
}

/**
 * Waits until the heartbeat moves: only then is it known when it was written. Null when it stands still.
 * @throws TransportError when the mailbox cannot be read.
 */
export async function awaitHeartbeat(peer: Peer): Promise<ClockReading | null> {
  const first = peer.status?.heartbeat ?? null;
  const untilMs = performance.now() + HEARTBEAT_WAIT_MS;
  while (performance.now() < untilMs) {
    const beforeMs = Date.now();
    await delay(POLL_MS);
    await peer.refresh();
    const heartbeat = peer.status?.heartbeat ?? null;
    if (heartbeat !== null && heartbeat !== first)
      return { writtenMs: Date.parse(heartbeat), beforeMs, afterMs: Date.now() };
  }
  return null;
}

/** How far the other clock is ahead of this one, and how exactly that is known; both in milliseconds. */
function clockOffset({ writtenMs, beforeMs, afterMs }: ClockReading): { aheadMs: number; slackMs: number } {
  return { aheadMs: writtenMs - (beforeMs + afterMs) / 2, slackMs: (afterMs - beforeMs) / 2 };
}

/** Such as `its clock is 1.5 s ahead of this one, to 0.1 s`. */
export function describeClock(reading: ClockReading): string {
  const { aheadMs, slackMs } = clockOffset(reading);
  if (Math.abs(aheadMs) <= slackMs) return `its clock is the same as this one's, to ${seconds(slackMs)}`;
  const direction = aheadMs > 0 ? "ahead of" : "behind";
  return `its clock is ${seconds(Math.abs(aheadMs))} ${direction} this one, to ${seconds(slackMs)}`;
}

/** Ages that are shown to people mean little beyond this. */
const CLOCK_LIMIT_MS = 30_000;

export function checkClock(check: string, reading: ClockReading): CheckResult {
  const { aheadMs, slackMs } = clockOffset(reading);
  if (Math.abs(aheadMs) - slackMs <= CLOCK_LIMIT_MS) return ok(check, describeClock(reading));
  const hint =
    "Nothing depends on it but the ages that people are shown: correct it, with chrony or systemd-timesyncd.";
  return warning(check, describeClock(reading), hint);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
