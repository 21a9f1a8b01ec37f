import { readFile } from "node:fs/promises";
import type { SecretPlace } from "../config/alert-configuration.ts";
import { messageOf } from "../errno.ts";
import { AlertError } from "./alert-error.ts";

/** The secret, read anew at each use, so that one that is replaced needs no reload. @throws AlertError ALERT_SECRET_MISSING. */
export async function readSecret(place: SecretPlace, environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const secret = place.file === null ? environment[place.variable ?? ""] : await firstLine(place.file);
  if (secret !== undefined && secret !== "") return secret;
  throw new AlertError("ALERT_SECRET_MISSING", `${place.file ?? `the variable ${place.variable}`} holds no secret`, {
    hint: "Write it on the first line of the file, or set the variable where the daemon is started.",
  });
}

async function firstLine(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).split(/\r?\n/, 1)[0];
  } catch (error) {
    throw new AlertError("ALERT_SECRET_MISSING", `the secret cannot be read: ${messageOf(error)}`, {
      ...{ path, cause: error },
      hint: "Give the user that Afterimage runs as permission to read it.",
    });
  }
}
