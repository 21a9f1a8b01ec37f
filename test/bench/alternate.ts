/** Measures contenders in turn, so that what else the machine does meets all of them. */
import { type Spread, spreadOf } from "./statistics.ts";

/**
 * Runs each contender once a round, each round beginning with another one, and returns each contender's results by round.
 */
export async function alternate<Name extends string, Result>(
  contenders: Readonly<Record<Name, () => Promise<Result>>>,
  rounds: number,
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(contenders) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Result[]>;
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as Name;
      results[name].push(await contenders[name]());
    }
  }
  return results;
}

/** `a` over `b`, round by round. */
export function ratioOf(a: readonly number[], b: readonly number[]): Spread {
  return spreadOf(a.map((value, round) => value / (b[round] ?? Number.NaN)));
}
