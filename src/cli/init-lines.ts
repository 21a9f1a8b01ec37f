/** What `afterimage init` tells a person. */
import type { MailboxTrial } from "../doctor/try-mailbox.ts";
import { checkLines } from "./check-lines.ts";
import type { GlobalOptions } from "./command-io.ts";
import type { InitReport } from "./init.ts";
import { stepLines } from "./init-next-steps.ts";
import { comparingCommand } from "./show-host-key.ts";

export function initLines(report: InitReport, { quiet }: Pick<GlobalOptions, "quiet">): string[] {
  const { file, written, pinned, converted, directories, key, admitted, files, connections, next } = report;
  return [
    ...pinned.flatMap(({ member, host, port, fingerprint, type }) => [
      `Pinned ${member}: ${host}:${port} shows ${fingerprint}`,
      `  compare it with what this prints on ${member}: ${comparingCommand(type)}`,
    ]),
    written ? `Wrote ${file}` : `Found ${file}`,
    ...converted.map((database) => `Converted ${database} to WAL mode`),
    ...directories.map((directory) => `Made ${directory}`),
    ...(key?.made === true ? [`Made the key ${key.path}`] : []),
    ...admitted.map((member) => `Let ${member} in, with the key that was given`),
    ...files.map((path) => `Wrote ${path}`),
    ...report.applications.flatMap((result) => checkLines(result, { quiet: quiet === true })),
    ...connections.flatMap((trial) => connectionLines(trial, quiet === true)),
    ...(quiet === true || next.length === 0 ? [] : ["Next:", ...stepLines(next)]),
  ];
}

function connectionLines({ member, mailbox, done, failed }: MailboxTrial, quiet: boolean): string[] {
  const check = `way to ${member}`;
  if (failed === null) {
    const message = `${mailbox}: ${done.join(", ")}`;
    return checkLines({ check, level: "OK", message, hint: null }, { quiet });
  }
  const { step, code, message, hint } = failed;
  // On the first machine it cannot be otherwise.
  const isNew = code === "LOGIN_REFUSED";
  const next = isNew ? `${member} does not let this member's key in yet: the steps below do that.` : hint;
  const soFar = done.length === 0 ? "" : `; it could ${done.join(", ")}`;
  return checkLines(
    { check, level: "WARN", message: `not yet: cannot ${step}: ${code}: ${message}${soFar}`, hint: next },
    { quiet },
  );
}
