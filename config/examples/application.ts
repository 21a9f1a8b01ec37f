/**
 * An application that mirrors its own database: `node application.ts afterimage.yaml lisbon orders.db`. It takes a hundred orders,
 * waits until every mirror has them, and ends.
 */
import { AfterimageError, type MemberExit, startMember } from "afterimage";
import Database from "better-sqlite3";

const [configFile = "afterimage.yaml", node = "lisbon", path = "orders.db"] = process.argv.slice(2);

/** A member that is not started again needs somebody: tell whoever is on call. */
function ended({ code, signal, error, restartInMs }: MemberExit): void {
  const next = restartInMs === null ? "it stays down" : `it is started again in ${restartInMs} ms`;
  console.error(`the member ended (${error?.message ?? signal ?? code}): ${next}`);
}

const database = new Database(path);
database.pragma("journal_mode = WAL");
database.exec("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)");

// The application goes on without its mirrors, or does not: that is for it to decide.
const member = await startMember({
  configFile,
  node,
  onEvent: ({ level, code, message }) => level !== "info" && console.error(`${code}: ${message}`),
  onLog: () => undefined,
  onExit: ended,
});
try {
  const take = database.prepare("INSERT INTO orders (item) VALUES (?)");
  for (let i = 1; i <= 100; i++) take.run(`item ${i}`);

  for (const { member: name, integrated } of await member.sync({ timeoutMs: 30_000 }))
    console.log(`${name} has transaction ${integrated}`);
  const { members } = await member.status();
  console.log(members.map(({ member: name, state }) => `${name} ${state}`).join(", "));
} catch (error) {
  if (!(error instanceof AfterimageError)) throw error;
  console.error(`${error.code}: ${error.message} ${error.hint ?? ""}`);
  process.exitCode = 1;
} finally {
  await member.stop();
  database.close();
}
