import { existsSync } from "node:fs";
import { newestBackups } from "../backup/backup-directory.ts";
import { backupConfiguration } from "../config/configuration.ts";
import type { MemberContext } from "./member-context.ts";

/** By database, when this member made the newest backup that is in its backup directory, milliseconds since 1970. */
export function ownBackups({ self, logger }: MemberContext): ReadonlyMap<string, number> {
  const { directory } = backupConfiguration(self);
  try {
    return existsSync(directory) ? newestBackups(directory, self.name) : new Map();
  } catch (error) {
    logger.warn({ err: error, path: directory }, "the backup directory cannot be read");
    return new Map();
  }
}
