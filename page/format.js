/** Figures as people read them. */

const NONE = "–";
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/**
 * @param {number} seconds
 * @returns {string} with two units at most: `0.4 s`, `12 s`, `5 min`, `3 h 20 min`, `4 d`
 */
export function duration(seconds) {
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

/**
 * A bound that is proved.
 * @param {number | null} seconds
 */
export function atMost(seconds) {
  if (seconds === null) return "not proved";
  return seconds < 0.05 ? "0 s" : `≤ ${duration(seconds)}`;
}

/** @param {number | null} bytes */
export function size(bytes) {
  if (bytes === null) return NONE;
  const power = bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${amount < 10 && power > 0 ? amount.toFixed(1) : Math.round(amount)} ${UNITS[power]}`;
}

/** @param {number | null} count */
export function number(count) {
  return count === null ? NONE : count.toLocaleString("en");
}

/**
 * In powers of a thousand, as an axis of round numbers has them.
 * @param {number} bytes a second
 */
export function byteRate(bytes) {
  const units = ["B/s", "kB/s", "MB/s", "GB/s"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const amount = bytes / 1000 ** power;
  return `${amount < 10 ? Number(amount.toFixed(1)) : Math.round(amount)} ${units[power]}`;
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * @param {number | null} amount a second
 * @returns {string}
 */
export function perSecond(amount) {
  if (amount === null) return NONE;
  if (amount === 0) return "0";
  return amount < 10 ? amount.toPrecision(2).replace(/\.?0+$/, "") : number(Math.round(amount));
}

/**
 * @param {string | null} txid 16 hexadecimal digits
 * @returns {string} without eight of the zeros that it begins with
 */
export function shortTxid(txid) {
  return txid === null ? NONE : txid.replace(/^0{1,8}/, "");
}

/**
 * @param {number} timeMs
 * @returns {string} of this browser's time zone
 */
export function clock(timeMs) {
  return new Date(timeMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}
