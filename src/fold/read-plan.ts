/**
 * What a read of a view's features, or of some of them, goes through: windows in the order in which one pass reads them,
 * and in each no accumulators but those that a feature which is asked for needs.
 *
 * Accumulators have nothing to do with each other, so leaving some out changes no bit of the rest. Windows shorter than
 * those that are asked for stay: a pass adds up to their edges first.
 */
import type { Accumulator } from "./accumulator.ts";
import type { PlannedAccumulator } from "./cell-group.ts";
import { joinCountsAndSums } from "./count-and-sum.ts";
import type { Session } from "./hop-ladder.ts";
import type { SessionWindow } from "./session-window.ts";
import type { CheckedFeature } from "./view-check.ts";

/** Features read over one window, and the accumulators they need. */
export interface WindowPlan {
  /** Microseconds for a time window and a session's reach, events for a last-n window. */
  readonly length: number;
  /** Positions of the features in the view. */
  readonly features: readonly number[];
  /** For a time window: also what longer windows need, as one pass serves all. */
  readonly accumulators: readonly Accumulator[];
}

export interface SessionPlan extends WindowPlan {
  readonly session: SessionWindow;
}

export interface ReadPlan {
  readonly lifetimeFeatures: readonly number[];
  /** Ascending. */
  readonly timeWindows: readonly WindowPlan[];
  readonly lastWindows: readonly WindowPlan[];
  readonly sessions: readonly SessionPlan[];
}

/** A view's windows, and the accumulators of its windowed features. */
export interface ReadParts {
  readonly features: readonly CheckedFeature[];
  readonly accumulators: readonly PlannedAccumulator[];
  /** Ascending. */
  readonly timeLengths: readonly number[];
  readonly lastLengths: readonly number[];
  readonly sessions: readonly SessionWindow[];
}

/** Equal for equal session windows. */
export function sessionKey({ gapMicros, maxMicros }: Session): string {
  return `${gapMicros}/${maxMicros}`;
}

/** `asked`: positions of features in the view. */
export function planRead(parts: ReadParts, asked: readonly number[]): ReadPlan {
  const read = new Set(asked.map((position) => parts.features[position]!));
  const positionsOf = (wanted: (feature: CheckedFeature) => boolean): number[] =>
    parts.features.flatMap((feature, i) => (read.has(feature) && wanted(feature) ? [i] : []));
  const accumulatorsOf = (wanted: (feature: CheckedFeature) => boolean): Accumulator[] => {
    const isNeeded = (feature: CheckedFeature): boolean => read.has(feature) && wanted(feature);
    const needed = parts.accumulators.filter(({ features }) => [...features].some(isNeeded));
    return joinCountsAndSums(needed.map(({ accumulator }) => accumulator));
  };
  const windowOf = (length: number, isOver: (feature: CheckedFeature) => boolean): WindowPlan => {
    return { length, features: positionsOf(isOver), accumulators: accumulatorsOf(isOver) };
  };
  const isOf = ({ features }: WindowPlan): boolean => features.length > 0;
  const longest = Math.max(0, ...[...read].map(({ over }) => (over?.kind === "time" ? over.micros : 0)));
  return {
    lifetimeFeatures: positionsOf(({ over }) => over === null),
    timeWindows: parts.timeLengths
      .filter((length) => length <= longest)
      .map((length) => ({
        length,
        features: positionsOf(({ over }) => over?.kind === "time" && over.micros === length),
        accumulators: accumulatorsOf(({ over }) => over?.kind === "time" && over.micros >= length),
      })),
    lastWindows: parts.lastLengths
      .map((length) => windowOf(length, ({ over }) => over?.kind === "last" && over.events === length))
      .filter(isOf),
    sessions: parts.sessions
      .map((session) => {
        const isOver = ({ over }: CheckedFeature): boolean =>
          over?.kind === "session" && sessionKey(over) === sessionKey(session);
        return { session, ...windowOf(session.maxMicros, isOver) };
      })
      .filter(isOf),
  };
}
