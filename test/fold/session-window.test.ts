/**
 * Session windows on cases with literal answers; the random ones stand in fold-equals-oracle.test.ts.
 */
import { describe, expect, it } from "vitest";
import type { Window } from "../../src/define/aggregation-definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { startsExactly } from "../../src/fold/view-fold.ts";
import {
  col,
  DAY,
  feature,
  float64,
  foldRow,
  HOUR,
  int64,
  lit,
  MINUTE,
  readAll,
  SECOND,
  streamOf,
  time,
  user,
  viewOf,
} from "./definitions.ts";

const noon = time("2026-03-01T12:00:00Z");
const stream = streamOf({ n: int64, x: float64 });

function session(gapMicros: number, maxMicros: number = DAY): Window {
  return { kind: "session", gapMicros, maxMicros };
}

describe("session windows", () => {
  const over = session(30 * MINUTE);
  const fold = compileViewFold(
    viewOf([
      feature(int64, { fn: "count", over }),
      feature(float64, { fn: "mean", column: "x", over, where: { op: "gt", left: col("n"), right: lit(1) } }),
      feature(int64, { fn: "first", column: "n", over }),
      feature(int64, { fn: "count", over: { kind: "time", micros: HOUR } }),
      feature(int64, { fn: "count" }),
    ]),
    stream,
    user,
  );

  it("cover the events behind the last gap, and none once asOf is more than the gap behind the last", () => {
    const state = fold.empty();
    foldRow(fold, state, 0, noon - HOUR, [9, 90]);
    foldRow(fold, state, 1, noon, [1, 10]);
    foldRow(fold, state, 2, noon + 30 * MINUTE, [2, 20]);
    foldRow(fold, state, 3, noon + 50 * MINUTE, [3, 30]);
    const during = readAll(fold, state, noon + 80 * MINUTE);
    expect(during.values).toEqual([3, 25, 1, 2, 4]);
    expect(during.windowStarts.slice(0, 3)).toEqual([noon - 1, noon - 1, noon - 1]);
    const after = readAll(fold, state, noon + 80 * MINUTE + 1);
    expect(after.values).toEqual([0, null, null, 2, 4]);
    expect(after.windowStarts[0]).toBe(noon + 80 * MINUTE + 1);
    expect(after.statuses.slice(0, 2)).toEqual(["PRESENT", "NULL_VALUE"]);
  });

  it("are joined by a late event that bridges their gap, and only by one that does", () => {
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [1, 10]);
    foldRow(fold, state, 1, noon + 61 * MINUTE, [2, 20]);
    const count = (): unknown => readAll(fold, state, noon + 70 * MINUTE).values[0];
    expect(count()).toBe(1);
    foldRow(fold, state, 2, noon + 31 * MINUTE, [3, 30], noon + 62 * MINUTE);
    expect(count()).toBe(2);
    foldRow(fold, state, 3, noon + 5 * MINUTE, [4, 40], noon + 63 * MINUTE);
    expect(count()).toBe(4);
  });

  it("of an unseen entity have not begun", () => {
    const { values, windowStarts, statuses } = readAll(fold, null, noon);
    expect(values).toEqual([0, null, null, 0, 0]);
    expect(windowStarts).toEqual([noon, noon, noon, noon - HOUR, Number.NEGATIVE_INFINITY]);
    expect(new Set(statuses)).toEqual(new Set(["NOT_FOUND"]));
  });

  it("reach back no further than their max, to the microsecond while no event is merged", () => {
    const short = compileViewFold(viewOf([feature(int64, { fn: "count", over: session(MINUTE, HOUR) })]), stream, user);
    const state = short.empty();
    for (let i = 0; i <= 100; i++) foldRow(short, state, i, noon + i * MINUTE, [i, i]);
    const asOf = noon + 100 * MINUTE;
    expect(readAll(short, state, asOf)).toMatchObject({ values: [60], windowStarts: [asOf - HOUR] });
    expect(readAll(short, state, asOf + 1)).toMatchObject({ values: [60], windowStarts: [asOf + 1 - HOUR] });
    expect(readAll(short, state, asOf + MINUTE)).toMatchObject({ values: [59] });
  });

  it("see every gap among merged events, whatever longer and coarser windows the view has", () => {
    const merged = compileViewFold(
      viewOf(
        [
          feature(int64, { fn: "count", over: session(10 * SECOND, 12 * HOUR) }),
          feature(int64, { fn: "count", over: { kind: "time", micros: DAY } }),
          feature(int64, { fn: "count", over: { kind: "time", micros: 90 * DAY } }),
        ],
        { exactEvents: 1 },
      ),
      stream,
      user,
    );
    const state = merged.empty();
    let offset = 0;
    // an hour of an event a second, eleven seconds of silence, and six hours more
    for (let second = 0; second < 7 * 3600; second++) {
      if (second >= 3600 && second < 3610) continue;
      foldRow(merged, state, offset++, noon + second * SECOND, [1, 1]);
    }
    expect(state.list.bucketCount).toBeLessThan(7 * 3600);
    const asOf = noon + 7 * HOUR;
    const { values, windowStarts } = readAll(merged, state, asOf);
    expect(values).toEqual([6 * 3600 - 10, 7 * 3600 - 10, 7 * 3600 - 10]);
    expect(windowStarts[0]).toBe(noon + 3610 * SECOND - 1);
    // the silence ends with an event that was ten seconds behind both its neighbours at most
    foldRow(merged, state, offset, noon + 3604 * SECOND, [1, 1], asOf);
    expect(readAll(merged, state, asOf).values[0]).toBe(7 * 3600 - 9);
  });

  it("say where they truly start when a merged bucket straddles their max", () => {
    const merged = compileViewFold(
      viewOf([feature(int64, { fn: "count", over: session(MINUTE, HOUR) })], { exactEvents: 1 }),
      stream,
      user,
    );
    const [compiled] = merged.features;
    const state = merged.empty();
    for (let second = 0; second < 5000; second++) foldRow(merged, state, second, noon + second * SECOND, [1, 1]);
    let moved = 0;
    for (let asOf = noon + 5000 * SECOND; asOf < noon + 5050 * SECOND; asOf += 700_000) {
      const { values, windowStarts } = readAll(merged, state, asOf);
      const late = windowStarts[0]! - (asOf - HOUR);
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThan(MINUTE);
      expect(values[0]).toBe(4999 - Math.floor((windowStarts[0]! - noon) / SECOND));
      expect(startsExactly(compiled!, windowStarts[0]!, asOf)).toBe(late === 0);
      moved += late === 0 ? 0 : 1;
    }
    expect(moved).toBeGreaterThan(0);
  });

  it.each([
    [session(0), "the session's gap is 0, not a positive whole number of microseconds"],
    [session(HOUR, 1.5), "the session's max is 1.5, not a positive whole number"],
    [session(2 * DAY), "the session's max 1d is shorter than its gap 2d"],
    [session(SECOND), "a session with gaps of 1s reaches back at most 5000 gaps, not 1d: give a max of up to 5000s"],
  ])("are refused: %j", (window, message) => {
    const view = viewOf([feature(int64, { fn: "count", over: window })]);
    expect(() => compileViewFold(view, stream, user)).toThrow(
      expect.objectContaining({ code: "DEFINITION_INVALID", message: expect.stringContaining(message) }),
    );
  });
});

describe("countSessions", () => {
  it("counts runs of events over any window, and over none", () => {
    const parameters = { gapMicros: 30 * MINUTE };
    const fn = "countSessions";
    const fold = compileViewFold(
      viewOf([
        feature(int64, { fn, parameters }),
        feature(int64, { fn, parameters, over: { kind: "time", micros: 3 * HOUR } }),
        feature(int64, { fn, parameters, over: { kind: "last", events: 3 } }),
        feature(int64, { fn, parameters, where: { op: "gt", left: col("n"), right: lit(1) } }),
        feature(int64, { fn, parameters: { gapMicros: HOUR } }),
      ]),
      stream,
      user,
    );
    const state = fold.empty();
    expect(readAll(fold, state, noon).values).toEqual([0, 0, 0, 0, 0]);
    for (const [i, minutes] of [0, 30, 61, 200, 231, 262].entries()) {
      foldRow(fold, state, i, noon + minutes * MINUTE, [i, 0]);
    }
    expect(readAll(fold, state, noon + 300 * MINUTE).values).toEqual([5, 3, 3, 4, 2]);
    foldRow(fold, state, 6, noon + 215 * MINUTE, [6, 0], noon + 300 * MINUTE);
    expect(readAll(fold, state, noon + 300 * MINUTE).values).toEqual([4, 2, 2, 3, 2]);
  });
});
