import type { FenceResult } from "../member/member-control.ts";

export function fenceLines(results: readonly FenceResult[], { dryRun }: { readonly dryRun: boolean }): string[] {
  const lines = results.map(({ database, fenced, changed }) => {
    const is = dryRun && changed ? "would be" : "is";
    const state = fenced ? "fenced: read-only for every application" : "not fenced: applications may write";
    return `${database}: ${dryRun ? `${is} ` : ""}${state}${changed ? "" : " (as before)"}`;
  });
  return dryRun ? ["dry run: nothing was changed", ...lines] : lines;
}
