/** What is told of an alert: one document for all who are told, kept until each of them has it. docs/ALERTS.md describes it. */
import { z } from "zod";
import { ALERT_CODES } from "./alert-catalogue.ts";
import type { AlertChange, RaisedAlert } from "./alert-register.ts";

const fields = {
  level: z.enum(["warn", "error"]),
  subject: z.string().nullable(),
  database: z.string().nullable(),
  message: z.string(),
  hint: z.string(),
};

export const noticeSchema = z.object({
  version: z.literal(1),
  /** The same however often it is delivered. */
  id: z.string(),
  kind: z.enum(["raised", "cleared"]),
  alert: z.enum(ALERT_CODES),
  ...fields,
  mirror: z.string(),
  member: z.string(),
  /** When it was first seen. */
  since: z.iso.datetime(),
  /** When it was raised, or cleared. */
  time: z.iso.datetime(),
});

export type AlertNotice = z.infer<typeof noticeSchema>;

const raisedSchema = z.object({ id: z.string(), code: z.enum(ALERT_CODES), ...fields, sinceMs: z.number() });

/** An alert as it is kept in the state; null when it is none that this program knows. */
export function parseRaised(text: string): RaisedAlert | null {
  return raisedSchema.safeParse(JSON.parse(text)).data ?? null;
}

export function noticeOf(
  { kind, alert }: AlertChange,
  { mirror, member, nowMs }: { mirror: string; member: string; nowMs: number },
): AlertNotice {
  const { id, code, level, subject, database, message, hint, sinceMs } = alert;
  return {
    ...{ version: 1, id: `${id}-${kind}`, kind, alert: code, level, mirror, member, subject, database, message, hint },
    since: new Date(sinceMs).toISOString(),
    time: new Date(nowMs).toISOString(),
  };
}

/** In one line, such as `error RECEIVED_LAG: what was cut ...`. */
export function noticeLine({ kind, alert, level, subject, message }: AlertNotice): string {
  const what = subject === null ? alert : `${alert} of ${subject}`;
  return kind === "raised" ? `${level} ${what}: ${message}` : `${what} is over`;
}
