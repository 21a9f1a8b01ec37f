/**
 * A service as an application would be on a member's machine: over TCP it takes one line, `write KEY` or `read`, answers with
 * its member's name and what came of it, and ends the connection. Arguments: member, port, database.
 */
import { createServer } from "node:net";
import Database from "better-sqlite3";

const [member = "", port = "", path = ""] = process.argv.slice(2);

/** A connection of its own each time: one that was open at a hand-over would go on taking the database for read-only. */
function answer(line: string): string {
  const [word, key = ""] = line.split(" ");
  let database: Database.Database | null = null;
  try {
    database = new Database(path, { timeout: 2_000, readonly: word === "read", fileMustExist: true });
    if (word === "read") return `read ${database.prepare("SELECT count(*) FROM note").pluck().get()}`;
    database.prepare("INSERT INTO note VALUES (?, ?)").run(key, member);
    return "written";
  } catch (error) {
    return error instanceof Database.SqliteError ? error.code : String(error);
  } finally {
    database?.close();
  }
}

const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (line) => socket.end(`${member} ${answer(line.toString("utf8").trim())}\n`));
});
server.listen(Number(port), "127.0.0.1", () => process.stdout.write("ready\n"));
process.on("disconnect", () => process.exit(0));
