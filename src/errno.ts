/** The code of something that was thrown: the operating system's (`ENOENT`, ...) or SQLite's (`SQLITE_BUSY`, ...); null when it has none. */
export function errnoOf(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
