/**
 * How many sessions there are: runs of events in which none comes more than a gap behind the one before.
 *
 * A count alone could not take a late event, which may bridge two sessions, lengthen one or be one of its own.
 * So the newest `SESSIONS_OPEN_MAX` sessions are kept open, as the times of their first and last event, and a
 * late event among them is counted exactly. Older ones are closed: of them only their number, the first time
 * and the last time are kept.
 *
 *     | closed: 7 sessions |    [first last]   [first last]   [first last]      time ->
 *
 * An event at or before the end of what is closed changes nothing but the number of such events. Adding one
 * event to a set changes its number of sessions by one at most, so the count is off by no more than that number,
 * and `sessionCountError` states it as a share. Sessions lie more than a gap apart: an event late by less than
 * SESSIONS_OPEN_MAX - 1 gaps never meets what is closed, unless bridging events have since joined sessions.
 *
 * Merging is exact, as all of one part stands before all of the other: the two sessions at the seam are one
 * where they lie within a gap. How many sessions are open may depend on how events were grouped; the count
 * and the error do not, while nothing came late into what is closed.
 */
import type { Summary } from "./summary.ts";

export const SESSIONS_OPEN_MAX = 64;

/** `spans` holds first and last time of each open session in turn, oldest first. */
export type SessionCountState = [
  closed: number,
  closedFrom: number,
  closedTo: number,
  tooLate: number,
  spans: number[],
];

export function sessionCounts(gapMicros: number, openMax: number = SESSIONS_OPEN_MAX): Summary<SessionCountState> {
  /** Appends a session that stands behind all others, or lengthens the last one by it. */
  function append(state: SessionCountState, from: number, to: number): void {
    const spans = state[4];
    if (spans.length > 0) {
      if (from - spans.at(-1)! <= gapMicros) spans[spans.length - 1] = to;
      else spans.push(from, to);
    } else if (state[0] > 0 && from - state[2] <= gapMicros) state[2] = to;
    else spans.push(from, to);
  }

  /** Puts the event among the open sessions. */
  function insert(spans: number[], time: number): void {
    let next = spans.length;
    while (next > 0 && spans[next - 2]! > time) next -= 2;
    const joinsOlder = next > 0 && time - spans[next - 1]! <= gapMicros;
    const joinsYounger = next < spans.length && spans[next]! - time <= gapMicros;
    if (joinsOlder && joinsYounger) spans.splice(next - 1, 2);
    else if (joinsOlder) spans[next - 1] = Math.max(spans[next - 1]!, time);
    else if (joinsYounger) spans[next] = time;
    else spans.splice(next, 0, time, time);
  }

  function closeOldest(state: SessionCountState): void {
    const spans = state[4];
    const excess = spans.length / 2 - openMax;
    if (excess <= 0) return;
    if (state[0] === 0) state[1] = spans[0]!;
    state[0] += excess;
    state[2] = spans[2 * excess - 1]!;
    spans.splice(0, 2 * excess);
  }

  return {
    empty: () => [0, 0, 0, 0, []],
    add: (state, _value, timeMicros) => {
      const spans = state[4];
      if (state[0] > 0 && timeMicros <= state[2]) state[3] += 1;
      else if (state[0] > 0 && timeMicros - state[2] <= gapMicros) {
        state[2] = timeMicros;
        // what is closed may now reach the oldest open session, which is then its end
        if (spans.length > 0 && spans[0]! - timeMicros <= gapMicros)
          [, state[2]] = spans.splice(0, 2) as [number, number];
      } else {
        insert(spans, timeMicros);
        closeOldest(state);
      }
      return state;
    },
    merge: (older, younger) => {
      const tooLate = older[3] + younger[3];
      if (younger[0] === 0) {
        for (let i = 0; i < younger[4].length; i += 2) append(older, younger[4][i]!, younger[4][i + 1]!);
        closeOldest(older);
        older[3] = tooLate;
        return older;
      }
      const sessions = sessionCount(older);
      if (sessions === 0) return [younger[0], younger[1], younger[2], tooLate, [...younger[4]]];
      const [from, to] = [older[0] > 0 ? older[1] : older[4][0]!, older[4].at(-1) ?? older[2]];
      const joined = younger[1] - to <= gapMicros ? 1 : 0;
      return [sessions + younger[0] - joined, from, younger[2], tooLate, [...younger[4]]];
    },
  };
}

export function sessionCount(state: SessionCountState | null): number {
  return state === null ? 0 : state[0] + state[4].length / 2;
}

/** By what share of itself the count may be off; 0 while it is exact. */
export function sessionCountError(state: SessionCountState | null): number {
  return state === null || state[3] === 0 ? 0 : state[3] / sessionCount(state);
}
