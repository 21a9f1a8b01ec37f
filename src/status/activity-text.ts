/** Work that takes a while, in words. */
import type { ActivityView, WorkKind, WorkUnit } from "./member-status.ts";
import { formatBytes, formatSeconds } from "./work-meter.ts";

export const WORK_WORDS: Readonly<Record<WorkKind, string>> = {
  seed: "seed",
  resync: "resync",
  catchUp: "catching up",
  backup: "backup",
  restore: "restore",
};

/** `seed, receiving: 37 %, 420.0 MiB of 1.1 GiB, 12.3 MiB a second, some 55 s left`. */
export function activityText({ kind, step, done, total, unit, percent, perSecond, secondsLeft }: ActivityView): string {
  const amount = `${inUnit(done, unit)}${total === null ? "" : ` of ${inUnit(total, unit)}`}`;
  return [
    `${WORK_WORDS[kind]}, ${step}: ${percent === null ? "" : `${percent} %, `}${amount}`,
    ...(perSecond === null ? [] : [`${inUnit(perSecond, unit)} a second`]),
    ...(secondsLeft === null ? [] : [`some ${formatSeconds(secondsLeft)} left`]),
  ].join(", ");
}

export function inUnit(amount: number, unit: WorkUnit): string {
  return unit === "bytes" ? formatBytes(amount) : `${Math.round(amount)} ${unit}`;
}
