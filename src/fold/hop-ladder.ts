/**
 * The hop ladder: how coarsely old neighbours may be merged.
 *
 * Cells of a rung are aligned to the epoch and each rung divides the next, so cells are nested. A bucket
 * merged within a cell of a rung at most W/60 long moves the left edge of a window W by less than that.
 */
import {
  type DurationMicros,
  MICROS_PER_DAY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
} from "../base/micros.ts";
import type { Window } from "../define/aggregation-definition.ts";

export const HOP_LADDER: readonly DurationMicros[] = [
  MICROS_PER_SECOND / 1000,
  MICROS_PER_SECOND / 100,
  MICROS_PER_SECOND / 10,
  MICROS_PER_SECOND,
  5 * MICROS_PER_SECOND,
  15 * MICROS_PER_SECOND,
  30 * MICROS_PER_SECOND,
  MICROS_PER_MINUTE,
  5 * MICROS_PER_MINUTE,
  15 * MICROS_PER_MINUTE,
  MICROS_PER_HOUR,
  3 * MICROS_PER_HOUR,
  6 * MICROS_PER_HOUR,
  12 * MICROS_PER_HOUR,
  MICROS_PER_DAY,
];

export type Session = Extract<Window, { readonly kind: "session" }>;

/** The largest rung of at most `micros`; 0 where there is none. */
function rungWithin(micros: DurationMicros): DurationMicros {
  return HOP_LADDER.findLast((rung) => rung <= micros) ?? 0;
}

const HOPS_PER_WINDOW = 60;

/** The largest rung of at most a sixtieth of the window; 0, which means never merge, where there is none. */
export function hopForWindow(windowMicros: DurationMicros): DurationMicros {
  return rungWithin(windowMicros / HOPS_PER_WINDOW);
}

/** As for a window as long as the session may be, but never so coarse that a bucket could hide a gap. */
export function hopForSession({ gapMicros, maxMicros }: Session): DurationMicros {
  return Math.min(hopForWindow(maxMicros), rungWithin(gapMicros));
}

/**
 * The hops of windows of ascending length: a bucket that a window can still reach is no coarser than that
 * window's hop, and longer windows reach it too.
 */
export function hopsByLength(windows: readonly { readonly length: number; readonly hop: number }[]): number[] {
  return windows.map((_, i) => Math.min(...windows.slice(i).map(({ hop }) => hop)));
}
