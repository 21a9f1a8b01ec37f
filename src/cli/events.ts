/** `afterimage events`: what has happened to this member, and what happens. */
import { setTimeout as delay } from "node:timers/promises";
import { type Command, Option } from "commander";
import { EVENT_LEVELS, type EventFilter, type EventLevel, type StoredEvent } from "../journal/event-log.ts";
import type { StateStore } from "../journal/state-store.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { openConfiguration } from "./open-configuration.ts";
import { openState } from "./open-state.ts";
import { parseCount } from "./parse-count.ts";
import type { Register } from "./register.ts";
import { formatTable } from "./table.ts";

const POLL_MS = 500;
/** Wide enough for most, so that lines that come one after the other stand in columns. */
const [CODE_WIDTH, DATABASE_WIDTH] = [24, 12];

interface EventsOptions {
  /** This level, and what is worse. */
  readonly level?: EventLevel;
  readonly database?: string;
  /** At most this many, the newest. */
  readonly limit?: number;
  readonly follow?: boolean;
}

async function events(args: EventsOptions & GlobalOptions, io: CommandIo): Promise<number> {
  const { level, database, limit, follow = false } = args;
  const selection = openConfiguration(args, io);
  const filter = { ...(level === undefined ? {} : { level }), ...(database === undefined ? {} : { database }) };
  using store = await openState(selection);
  const found = store.events({ ...filter, ...(limit === undefined ? {} : { limit }) });
  if (follow) return await followEvents(store, { found, filter, args, io });
  print(args, io, { member: selection.member.name, events: found.map(eventView) }, () => eventLines(found));
  return EXIT.done;
}

interface Following {
  /** What is shown first. */
  readonly found: readonly StoredEvent[];
  readonly filter: EventFilter;
  readonly args: GlobalOptions;
  readonly io: CommandIo;
}

/** Shows each event as it comes, with `--json` as a document of its own, until a signal ends the process. */
async function followEvents(store: StateStore, { found, filter, args, io }: Following): Promise<never> {
  let [next, sinceId] = [found, 0];
  for (;;) {
    for (const event of next) {
      io.out(args.json === true ? JSON.stringify(eventView(event)) : eventLine(event));
      sinceId = event.id;
    }
    if (next.length === 0 || next === found) await delay(POLL_MS);
    next = store.events({ ...filter, sinceId });
  }
}

function eventView({ atMs, ...event }: StoredEvent): object {
  return { ...event, time: new Date(atMs).toISOString() };
}

function eventLine({ atMs, level, code, database, message }: StoredEvent): string {
  const columns = [level.padEnd(5), code.padEnd(CODE_WIDTH), (database ?? "").padEnd(DATABASE_WIDTH), message];
  return [new Date(atMs).toISOString(), ...columns].join("  ");
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
    .option("--follow", "then wait, and show each one as it comes")
    .action((options: EventsOptions, command: Command) =>
      execute(command, (globals, io) => events({ ...globals, ...options }, io)),
    );
};
