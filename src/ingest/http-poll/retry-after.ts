/**
 * When to ask again: what the API wants (`Retry-After`, RFC 9110, 10.2.3), and what is right where it says nothing.
 */
import { MICROS_PER_DAY, MICROS_PER_MINUTE, MICROS_PER_SECOND } from "../../base/micros.ts";

/** An API that wants to be left alone for longer is asked all the same. */
const RETRY_AFTER_MICROS_MAX = MICROS_PER_DAY;
const BACK_OFF_MICROS_FIRST = MICROS_PER_SECOND;
const BACK_OFF_MICROS_MAX = 5 * MICROS_PER_MINUTE;

/** How long from now, from whole seconds or a date; null where neither is there. */
export function retryAfterMicros(header: string | null, nowMicros: number): number | null {
  const text = header?.trim() ?? "";
  const wait = /^\d+$/.test(text) ? Number(text) * MICROS_PER_SECOND : Date.parse(text) * 1000 - nowMicros;
  return Number.isNaN(wait) ? null : Math.min(Math.max(0, wait), RETRY_AFTER_MICROS_MAX);
}

/** After so many failures in a row: doubled each time, and a random part of its upper half, so that many do not ask at once. */
export function backOffMicros(failures: number, random: () => number): number {
  const whole = Math.min(BACK_OFF_MICROS_FIRST * 2 ** Math.min(failures - 1, 30), BACK_OFF_MICROS_MAX);
  return Math.round(whole * (0.5 + random() / 2));
}
