/**
 * How far behind the farthest of many mirrors is, and how busy the busiest sender, by figures that can be checked on paper.
 *
 * Each member ships to at most `degree` others: with as many as there are mirrors it is a hub, with one a chain. Members are numbered
 * in the order in which a tree is filled: 0 is the operational one, and member i follows member floor((i - 1) / degree), as its
 * j-th follower, j = (i - 1) mod degree. With
 *
 *   c  processor time of one put, seconds                         b  bytes of a segment
 *   h  time of a hop beside the put: looking, syncing, verifying  B  bytes a second of a member's line
 *   r  from the commit to its segment                             s  segments a second
 *
 * one put takes the sender p = max(c, b / B), and
 *
 *   a segment is on member i at  t(i) = t(parent) + h + (j + 1) p,  t(0) = r      (a sender puts one after the other)
 *   a member with k followers is busy for the part  s k p  of its time            (beyond 1 it falls behind for ever)
 *
 * For a full hub of n mirrors that is r + h + n p and s n p; for a chain r + n (h + p) and s p; for a tree of depth d with all
 * places taken r + d (h + k p) and s k p. Left out: that lines are shared and differ, and that a busy sender merges segments.
 */
export interface FanoutFigures {
  readonly putSeconds: number;
  readonly hopSeconds: number;
  readonly cutSeconds: number;
  readonly segmentBytes: number;
  readonly lineBytesPerSecond: number;
  readonly segmentsPerSecond: number;
}

export interface FanoutResult {
  /** Of the farthest member; infinite where a sender falls behind. */
  readonly lagSeconds: number;
  /** Of the busiest member: 1 is all of its time. */
  readonly load: number;
  /** Hops to the farthest member. */
  readonly depth: number;
}

/** @param mirrors at least 1. @param degree followers that a member has at most, at least 1. */
export function simulateFanout(mirrors: number, degree: number, figures: FanoutFigures): FanoutResult {
  const { hopSeconds, cutSeconds, segmentsPerSecond } = figures;
  const put = putTime(figures);
  const arrivals = [cutSeconds];
  const depths = [0];
  for (let member = 1; member <= mirrors; member++) {
    const parent = Math.floor((member - 1) / degree);
    const place = (member - 1) % degree;
    arrivals.push((arrivals[parent] ?? Number.NaN) + hopSeconds + (place + 1) * put);
    depths.push((depths[parent] ?? Number.NaN) + 1);
  }
  const load = segmentsPerSecond * Math.min(mirrors, degree) * put;
  const lagSeconds = load > 1 ? Number.POSITIVE_INFINITY : Math.max(...arrivals);
  return { lagSeconds, load, depth: Math.max(...depths) };
}

/** For how long one put takes the scarcer of processor and line. */
export function putTime({ putSeconds, segmentBytes, lineBytesPerSecond }: FanoutFigures): number {
  return Math.max(putSeconds, segmentBytes / lineBytesPerSecond);
}
