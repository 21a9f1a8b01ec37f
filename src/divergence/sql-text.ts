/** Pieces of SQL. */

/** A name as an identifier, whatever is in it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Terms joined by OR as a balanced tree: SQLite's expressions are at most 1,000 levels deep, and tables may have more columns. */
export function anyOf(terms: readonly string[]): string {
  if (terms.length <= 2) return terms.length === 0 ? "0" : `(${terms.join(" OR ")})`;
  const middle = terms.length >> 1;
  return `(${anyOf(terms.slice(0, middle))} OR ${anyOf(terms.slice(middle))})`;
}
