/**
 * Windows as they are written, `"1h"`, `{ last: 20 }` or `{ session: "30m" }`: as data, and as a person reads them.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatDuration, MICROS_PER_DAY, parseDuration } from "../base/micros.ts";
import type { Window } from "./aggregation-definition.ts";
import type { DurationText } from "./typing.ts";

/** The entity's last n events. */
export interface LastEvents {
  readonly last: number;
}

/** The entity's present session: the events behind its last gap longer than this. */
export interface SessionGap {
  readonly session: DurationText;
  /** How far back a session reaches at most; default 1d. A longer one is cut at `(asOf - max, asOf]`. */
  readonly max?: DurationText;
}

export type WindowText = DurationText | LastEvents | SessionGap;

const SESSION_MAX_MICROS_DEFAULT = MICROS_PER_DAY;

/** No bucket may hide a gap, so that a session's reach in gaps bounds how many buckets an entity can have. */
export const SESSION_GAPS_MAX = 5000;

/** Throws `DURATION_INVALID`. `view` says the rest; here only what cannot be written as data is refused. */
export function parseWindow(window: string | LastEvents | SessionGap): Window {
  if (typeof window === "string") return { kind: "time", micros: parseDuration(window) };
  if (typeof window !== "object" || window === null) {
    const given = window === undefined ? "nothing" : String(window);
    throw new OnefoldError(
      "DURATION_INVALID",
      `${given} is not a window: write a duration such as "15m" or "7d", { last: 20 } or { session: "30m" }`,
    );
  }
  if (!("session" in window)) return { kind: "last", events: window.last };
  const { session, max } = window;
  return {
    kind: "session",
    gapMicros: parseDuration(session),
    maxMicros: max === undefined ? SESSION_MAX_MICROS_DEFAULT : parseDuration(max),
  };
}

/** `1h`, `last 20` or `session 30m, at most 1d`. */
export function formatWindow(window: Window): string {
  switch (window.kind) {
    case "time":
      return formatDuration(window.micros);
    case "last":
      return `last ${window.events}`;
    case "session":
      return `session ${formatDuration(window.gapMicros)}, at most ${formatDuration(window.maxMicros)}`;
  }
}

/** A sentence that says what is wrong with a session window; undefined where nothing is. */
export function sessionProblem({ gapMicros, maxMicros }: Window & { readonly kind: "session" }): string | undefined {
  for (const [what, micros] of [
    ["gap", gapMicros],
    ["max", maxMicros],
  ] as const) {
    if (!Number.isSafeInteger(micros) || micros <= 0) {
      return `the session's ${what} is ${micros}, not a positive whole number of microseconds`;
    }
  }
  const [gap, max] = [formatDuration(gapMicros), formatDuration(maxMicros)];
  if (maxMicros < gapMicros) return `the session's max ${max} is shorter than its gap ${gap}`;
  if (maxMicros <= gapMicros * SESSION_GAPS_MAX) return undefined;
  const most = formatDuration(gapMicros * SESSION_GAPS_MAX);
  return `a session with gaps of ${gap} reaches back at most ${SESSION_GAPS_MAX} gaps, not ${max}: give a max of up to ${most}`;
}
