import { NO_TXID } from "../ltx/position.ts";
import type { MemberContext } from "./member-context.ts";
import { leftOfDropped } from "./surplus.ts";

/** Removes from a database's journal what a crash left. */
export function clearJournal(context: MemberContext, name: string): void {
  const { store, journal, logger } = context;
  const { txid: end = NO_TXID, epoch = context.epoch } = store.database(name)?.received ?? {};
  journal.markEnd(name);
  const strays = [
    ...journal.removeStray(name, epoch, end),
    ...journal.removeUncatalogued(name, epoch, end),
    ...leftOfDropped(context, name, epoch),
  ];
  if (strays.length > 0) logger.info({ database: name, strays }, "files of an unfinished step removed");
}
