/** Durations and sizes as people write them in the configuration. */

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** What a duration is written like; its length may be out of a key's limits. */
export const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/;

/** Milliseconds of `50ms`, `2s`, `1h30m`, `14d`; null when the text is no duration. The unit is required. */
export function parseDuration(text: string): number | null {
  if (!DURATION.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    total += Number(amount) * (MILLISECONDS[unit ?? ""] ?? Number.NaN);
  }
  return safeInteger(total);
}

const UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

/** What `parseDuration` reads as so many milliseconds, in days and smaller units: `1h30m`. */
export function formatDuration(durationMs: number): string {
  let leftMs = durationMs;
  let text = "";
  for (const [unit, unitMs] of UNITS) {
    const amount = Math.floor(leftMs / unitMs);
    if (amount > 0) text += `${amount}${unit}`;
    leftMs -= amount * unitMs;
  }
  return text;
}

/** Bytes of `64MiB`, `1.5GB`, `4096`; null when the text is no size. Without a unit it is bytes. */
export function parseSize(text: string): number | null {
  const [, amount, unit = "B"] = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)?$/.exec(text) ?? [];
  const factor = Object.hasOwn(BYTES, unit) ? BYTES[unit] : undefined;
  return amount === undefined || factor === undefined ? null : safeInteger(Number(amount) * factor);
}

function safeInteger(value: number): number | null {
  const rounded = Math.round(value);
  return Number.isSafeInteger(rounded) ? rounded : null;
}
