import type { FenceResult } from "../member/member-control.ts";

export function fenceLines(results: readonly FenceResult[]): string[] {
  return results.map(({ database, fenced, changed }) => {
    const state = fenced ? "fenced: read-only for every application" : "not fenced: applications may write";
    return `${database}: ${state}${changed ? "" : " (as before)"}`;
  });
}
