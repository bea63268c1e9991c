/**
 * Durations in definitions: text at the DSL, microseconds in the data, a wrong one among the problems.
 */
import { type DurationMicros, parseDuration } from "../base/micros.ts";

/** The duration in microseconds; undefined where it is absent or wrong, and then `problems` says so. */
export function duration(what: string, text: string | undefined, problems: string[]): DurationMicros | undefined {
  if (text === undefined) return undefined;
  try {
    return parseDuration(text);
  } catch {
    problems.push(`${what}: "${text}" is not a duration such as "15m" or "7d"`);
    return undefined;
  }
}
