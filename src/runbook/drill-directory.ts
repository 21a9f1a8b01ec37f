/** The directory of a drill's copies: made empty at the beginning, gone at the end, or kept under another name. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { formatStamp } from "../backup/backup-name.ts";
import type { MemberConfiguration } from "../config/configuration.ts";
import { messageOf } from "../errno.ts";
import { DrillError } from "./drill-error.ts";

export class DrillDirectory {
  readonly path: string;

  /** @param below null for the state directory. */
  constructor({ name, state }: Pick<MemberConfiguration, "name" | "state">, below: string | null) {
    this.path = join(below ?? state, `drill-${name}`);
  }

  /** Makes it anew, and removes what a drill that was killed has left. @throws DrillError DRILL_IO. */
  make(): void {
    this.#attempt("made", () => {
      rmSync(this.path, { recursive: true, force: true });
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
    });
  }

  remove(): void {
    this.#attempt("removed", () => rmSync(this.path, { recursive: true, force: true }));
  }

  /** Gives it a name that the next drill leaves alone. @returns its path. */
  keep(nowMs: number): string {
    const path = `${this.path}-${formatStamp(nowMs)}`;
    this.#attempt("kept", () => {
      if (existsSync(this.path)) renameSync(this.path, path);
    });
    return path;
  }

  #attempt(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      throw new DrillError("DRILL_IO", `the directory of the copies cannot be ${what}: ${messageOf(error)}`, {
        path: this.path,
        hint: "Give the user that runs this command permission there, or name another place with --directory.",
        cause: error,
      });
    }
  }
}
