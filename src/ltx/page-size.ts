/** The page sizes that SQLite has (SQLite file format, section 1.3.2). */

export const MIN_PAGE_SIZE = 512;
export const MAX_PAGE_SIZE = 65_536;

/** True for a power of two from 512 to 65536. */
export function isPageSize(value: number): boolean {
  return value >= MIN_PAGE_SIZE && value <= MAX_PAGE_SIZE && (value & (value - 1)) === 0;
}
