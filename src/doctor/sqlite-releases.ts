/** Which releases of SQLite have the bug by which a checkpoint that runs beside another one can lose commits (sqlite.org/wal.html). */

type Release = readonly [number, number, number];

const FIRST: Release = [3, 7, 0];
const FIXED: Release = [3, 51, 3];
/** Of older branches, in which it was fixed later. */
const FIXED_IN_BRANCHES: readonly Release[] = [
  [3, 50, 7],
  [3, 44, 6],
];

/** In words, for advice. */
export const FIXED_RELEASES = "3.51.3 or later (3.50.7 and 3.44.6 have the fix, too)";

/** @param version such as `3.46.1`. */
export function hasWalResetBug(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  const release: Release = [major, minor, patch];
  if (compare(release, FIRST) < 0 || compare(release, FIXED) >= 0) return false;
  return !FIXED_IN_BRANCHES.some((fixed) => fixed[1] === minor && patch >= fixed[2]);
}

function compare(a: Release, b: Release): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
