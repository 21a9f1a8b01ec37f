/** The steps that a command would take. */
export function dryRunLines(steps: readonly string[]): string[] {
  return ["dry run: nothing was changed; it would", ...steps.map((step, i) => `  ${i + 1}. ${step}`)];
}
