import SqliteDatabase from "better-sqlite3";

/** Of the library in this program. */
export function sqliteVersion(): string {
  const database = new SqliteDatabase(":memory:");
  try {
    return String(database.prepare("SELECT sqlite_version()").pluck().get());
  } finally {
    database.close();
  }
}
