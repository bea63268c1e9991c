/**
 * Time as integer microseconds since the epoch, UTC, in a plain number.
 *
 * A double holds integers exactly up to 2^53, so microseconds reach the year 2255; every time inside
 * the platform is one of these, and text or `Date` is turned into one at the doors and nowhere else.
 */
import { OnefoldError } from "./errors.ts";

declare const microsBrand: unique symbol;
/** Integer microseconds since 1970-01-01T00:00:00Z. */
export type Micros = number & { readonly [microsBrand]: true };
/** A length of time in integer microseconds. */
export type DurationMicros = number;

export const MICROS_PER_SECOND: number = 1_000_000;
export const MICROS_PER_MINUTE: number = 60 * MICROS_PER_SECOND;
export const MICROS_PER_HOUR: number = 60 * MICROS_PER_MINUTE;
export const MICROS_PER_DAY: number = 24 * MICROS_PER_HOUR;

/** The latest time a door accepts: 2255-06-05, the last whole day inside the exact range. */
const MICROS_MAX = 9_007_199_254_740_991;

/** Brands an integer that is already microseconds; throws `TIME_INVALID` for anything else. */
export function micros(value: number): Micros {
  if (!Number.isSafeInteger(value)) {
    throw new OnefoldError("TIME_INVALID", `${value} is not a whole number of microseconds`);
  }
  // -0 becomes 0, as everywhere.
  return (value + 0) as Micros;
}

export function microsFromMillis(millis: number): Micros {
  return micros(Math.round(millis * 1000));
}

const ISO_TIME =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?$/;

/**
 * Parses ISO 8601 text with up to six fractional digits. A text without a zone is UTC.
 * Throws `TIME_INVALID` for anything else, including days that do not exist.
 */
export function parseMicros(text: string): Micros {
  const match = ISO_TIME.exec(text.trim());
  if (match === null) throw invalidTime(text);
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] = match;
  const wholeMillis = Date.UTC(+year!, +month! - 1, +day!, +hour, +minute, +second);
  const check = new Date(wholeMillis);
  const exists =
    check.getUTCFullYear() === +year! && check.getUTCMonth() === +month! - 1 && check.getUTCDate() === +day!;
  if (!exists || +hour > 23 || +minute > 59 || +second > 59) throw invalidTime(text);
  const result = wholeMillis * 1000 + Number(fraction.padEnd(6, "0")) - zoneOffsetMicros(zone, text);
  if (Math.abs(result) > MICROS_MAX) throw invalidTime(text);
  return result as Micros;
}

function zoneOffsetMicros(zone: string, text: string): number {
  if (zone === "Z") return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(":", "") || "0");
  if (hours > 23 || minutes > 59) throw invalidTime(text);
  return (zone[0] === "-" ? -1 : 1) * (hours * MICROS_PER_HOUR + minutes * MICROS_PER_MINUTE);
}

function invalidTime(text: string): OnefoldError {
  return new OnefoldError("TIME_INVALID", `"${text.slice(0, 60)}" is not an ISO 8601 time`, {
    hint: "write 2026-01-31T12:00:00Z, with up to six fractional digits; a time without a zone is UTC",
  });
}

/** The second that was formatted last, and its text up to the seconds: the present comes again and again. */
let lastSecond = Number.NaN;
let lastSecondText = "";

/** Formats as RFC 3339 in UTC: no fraction, three digits or six, the shortest that is exact. */
export function formatMicros(value: Micros): string {
  const second = Math.floor(value / MICROS_PER_SECOND);
  if (second !== lastSecond) {
    lastSecondText = new Date(second * 1000).toISOString().slice(0, -5);
    lastSecond = second;
  }
  const fraction = value - second * MICROS_PER_SECOND;
  if (fraction === 0) return `${lastSecondText}Z`;
  const isWholeMillis = fraction % 1000 === 0;
  // The digit in front keeps the zeros at the beginning.
  const digits = String(isWholeMillis ? 1000 + fraction / 1000 : MICROS_PER_SECOND + fraction).slice(1);
  return `${lastSecondText}.${digits}Z`;
}

const DURATION = /^(\d+)(us|ms|s|m|h|d|w)$/;
const UNIT_MICROS: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1000,
  s: MICROS_PER_SECOND,
  m: MICROS_PER_MINUTE,
  h: MICROS_PER_HOUR,
  d: MICROS_PER_DAY,
  w: 7 * MICROS_PER_DAY,
};

/** Parses `"90s"`, `"1h"`, `"7d"`: a whole number and one unit of us ms s m h d w. Throws `DURATION_INVALID`. */
export function parseDuration(text: string): DurationMicros {
  const match = DURATION.exec(text);
  const result = match === null ? Number.NaN : Number(match[1]) * UNIT_MICROS[match[2]!]!;
  if (!Number.isSafeInteger(result) || result <= 0) {
    throw new OnefoldError("DURATION_INVALID", `"${text}" is not a duration`, {
      hint: 'write a positive whole number and a unit of us, ms, s, m, h, d or w, such as "15m" or "7d"',
    });
  }
  return result;
}

/** Formats with the largest unit up to days that divides it: 3600000000 -> "1h". Nobody counts windows in weeks. */
export function formatDuration(duration: DurationMicros): string {
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const size = UNIT_MICROS[unit]!;
    if (duration >= size && duration % size === 0) return `${duration / size}${unit}`;
  }
  return `${duration}us`;
}
