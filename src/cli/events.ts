/** `afterimage events`: what has happened to this member. */
import { type Command, Option } from "commander";
import { EVENT_LEVELS, type EventLevel, type StoredEvent } from "../journal/event-log.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { openConfiguration } from "./open-configuration.ts";
import { openState } from "./open-state.ts";
import { parseCount } from "./parse-count.ts";
import type { Register } from "./register.ts";
import { formatTable } from "./table.ts";

interface EventsOptions {
  /** This level, and what is worse. */
  readonly level?: EventLevel;
  readonly database?: string;
  /** At most this many, the newest. */
  readonly limit?: number;
}

async function events(args: EventsOptions & GlobalOptions, io: CommandIo): Promise<number> {
  const { level, database, limit } = args;
  const selection = openConfiguration(args, io);
  using store = await openState(selection);
  const found = store.events({
    ...(level === undefined ? {} : { level }),
    ...(database === undefined ? {} : { database }),
    ...(limit === undefined ? {} : { limit }),
  });
  const views = found.map(({ atMs, ...event }) => ({ ...event, time: new Date(atMs).toISOString() }));
  print(args, io, { member: selection.member.name, events: views }, () => eventLines(found));
  return EXIT.done;
}

function eventLines(found: readonly StoredEvent[]): string[] {
  return formatTable(
    [{ title: "Time" }, { title: "Level" }, { title: "Code" }, { title: "Database" }, { title: "Message" }],
    found.map(({ atMs, level, code, database, message }) => [
      new Date(atMs).toISOString(),
      level,
      code,
      database ?? "",
      message,
    ]),
  );
}

export const registerEvents: Register = (program, execute) => {
  program
    .command("events")
    .description("list what has happened to this member, oldest first")
    .addOption(new Option("--level <level>", "only this level and worse").choices(EVENT_LEVELS))
    .option("--database <name>", "only this database's, also one that is served no longer")
    .option("--limit <count>", "at most this many, the newest (100)", parseCount)
    .action((options: EventsOptions, command: Command) =>
      execute(command, (globals, io) => events({ ...globals, ...options }, io)),
    );
};
