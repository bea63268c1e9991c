/**
 * Numbers of sessions against the sessions themselves, with events in any order and merged from any parts;
 * with few sessions kept open, so that random events come too late for some.
 * ONEFOLD_SEED=n runs them from the seed that a failure printed.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  sessionCount,
  sessionCountError,
  sessionCounts,
  type SessionCountState,
  SESSIONS_OPEN_MAX,
} from "../../src/fold/session-counts.ts";

const GAP = 3;
fc.configureGlobal({
  ...fc.readConfigureGlobal(),
  numRuns: 3000,
  ...(process.env["ONEFOLD_SEED"] === undefined ? {} : { seed: Number(process.env["ONEFOLD_SEED"]) }),
});

function naiveCount(times: readonly number[]): number {
  const ascending = times.toSorted((a, b) => a - b);
  return ascending.filter((time, i) => i === 0 || time - ascending[i - 1]! > GAP).length;
}

function counted(times: readonly number[], openMax?: number): SessionCountState {
  const sessions = sessionCounts(GAP, openMax);
  return times.reduce((state, time) => sessions.add(state, null, time), sessions.empty());
}

const times = fc.array(fc.integer({ min: 0, max: 120 }), { maxLength: 60 });

describe("numbers of sessions", () => {
  it("are exact in any order of events, while no more sessions are there than are kept open", () => {
    fc.assert(
      fc.property(times, (list) => {
        expect(sessionCount(counted(list))).toBe(naiveCount(list));
        expect(sessionCountError(counted(list))).toBe(0);
      }),
    );
  });

  it("are exact in order of time, however few are kept open", () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 4 }), (list, openMax) => {
        const state = counted(
          list.toSorted((a, b) => a - b),
          openMax,
        );
        expect([sessionCount(state), sessionCountError(state)]).toEqual([naiveCount(list), 0]);
        expect(state[4].length).toBeLessThanOrEqual(2 * openMax);
      }),
    );
  });

  it("are off by no more than the events that came too late, which they state", () => {
    let wrong = 0;
    let stated = 0;
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 4 }), (list, openMax) => {
        const state = counted(list, openMax);
        const off = Math.abs(sessionCount(state) - naiveCount(list));
        expect(off).toBeLessThanOrEqual(Math.round(sessionCountError(state) * sessionCount(state)));
        wrong += off > 0 ? 1 : 0;
        stated += sessionCountError(state) > 0 ? 1 : 0;
      }),
    );
    expect(wrong).toBeGreaterThan(100);
    expect(stated).toBeGreaterThan(wrong);
  });

  it("merge exactly and associatively, whatever is closed of each part, with late events in each", () => {
    fc.assert(
      fc.property(
        fc.tuple(times, times, times),
        fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 2, maxLength: 2 }),
        fc.integer({ min: 1, max: 70 }),
        ([first, second, third], [apart1, apart2], openMax) => {
          const sessions = sessionCounts(GAP, openMax);
          const parts = [
            first,
            second.map((time) => time + 120 + apart1!),
            third.map((time) => time + 240 + apart1! + apart2!),
          ];
          const state = (i: number): SessionCountState => counted(parts[i]!, openMax);
          const leftFirst = sessions.merge(sessions.merge(state(0), state(1)), state(2));
          const rightFirst = sessions.merge(state(0), sessions.merge(state(1), state(2)));
          expect(sessionCount(rightFirst)).toBe(sessionCount(leftFirst));
          expect(rightFirst[3]).toBe(leftFirst[3]);
          const off = Math.abs(sessionCount(leftFirst) - naiveCount(parts.flat()));
          expect(off).toBeLessThanOrEqual(leftFirst[3]);
          // and what is merged takes further events, some of them late
          const late = [...parts.flat().slice(0, 5), 100, 250, 500];
          for (const time of late) sessions.add(leftFirst, null, time);
          const offAfter = Math.abs(sessionCount(leftFirst) - naiveCount([...parts.flat(), ...late]));
          expect(offAfter).toBeLessThanOrEqual(leftFirst[3]);
        },
      ),
    );
  });

  it("merge into one session what lies a gap apart at the seam, and no further, whatever is closed", () => {
    const sessions = sessionCounts(GAP, 1);
    for (const [apart, expected] of [
      [GAP, 5],
      [GAP + 1, 6],
    ] as const) {
      for (const olderCount of [1, 3]) {
        const older = Array.from({ length: olderCount }, (_, i) => 100 - 10 * (olderCount - 1 - i));
        const younger = [0, 10, 20, 30, 40].slice(0, 6 - olderCount).map((time) => 100 + apart + time);
        const merged = sessions.merge(counted(older, 1), counted(younger, 1));
        expect(sessionCount(merged)).toBe(expected);
      }
    }
  });

  it("change nothing of the part that is merged from, nor share anything with it", () => {
    const sessions = sessionCounts(GAP, 2);
    for (const list of [[200], [200, 210, 220, 230]]) {
      const younger = counted(list, 2);
      const before = JSON.stringify(younger);
      for (const older of [counted([], 2), counted([1, 10, 20], 2)]) {
        const merged = sessions.merge(older, younger);
        sessions.add(merged, null, 1000);
      }
      expect(JSON.stringify(younger)).toBe(before);
    }
  });

  it("count an event exactly that is late by less than the gaps between the sessions kept open", () => {
    const sessions = sessionCounts(GAP);
    const state = counted(Array.from({ length: 500 }, (_, i) => i * 10));
    // between two sessions, 40 sessions back: one of its own, then one that joins it to the younger
    const newest = 4990;
    sessions.add(state, null, newest - 405);
    expect([sessionCount(state), sessionCountError(state)]).toEqual([501, 0]);
    sessions.add(state, null, newest - 402);
    expect([sessionCount(state), sessionCountError(state)]).toEqual([500, 0]);
    sessions.add(state, null, newest - 10 * SESSIONS_OPEN_MAX);
    expect([sessionCount(state), sessionCountError(state)]).toEqual([500, 1 / 500]);
  });
});
