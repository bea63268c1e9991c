/**
 * A hot entity's state stays small however many events it sees, and its windows move by less than a hop.
 */
import { describe, expect, it } from "vitest";
import { compileViewFold } from "../../src/fold/compile.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import {
  DAY,
  feature,
  float64,
  foldRow,
  HOUR,
  int64,
  MINUTE,
  readAll,
  SECOND,
  streamOf,
  string,
  time,
  user,
  viewOf,
} from "./definitions.ts";

const windows = [HOUR, DAY, 7 * DAY];
const view = viewOf(
  windows.flatMap((micros) => [
    feature(int64, { fn: "count", over: { kind: "time", micros } }),
    feature(float64, { fn: "mean", column: "x", over: { kind: "time", micros } }),
  ]),
);
const noon = time("2026-03-01T12:00:00Z");

describe("a hot entity over 1h, 24h and 7d", () => {
  // 61 cells of 1m, 93 of 15m, 145 of 1h, 128 raw, up to 64 since the last compaction, and some slack at the seams
  const BUCKETS_MAX = 520;
  const EVENTS = 1_000_000;

  it.each([
    ["a second", SECOND],
    ["20 seconds", 20 * SECOND],
  ])("keeps under 520 buckets over a million events, one every %s", (_, gap) => {
    const fold = compileViewFold(view, streamOf({ x: float64 }), user);
    const state = fold.empty();
    let most = 0;
    for (let i = 0; i < EVENTS; i++) {
      foldRow(fold, state, i, noon + i * gap, [i % 10]);
      if (i % 1000 === 0) most = Math.max(most, state.list.bucketCount + state.list.rawCount);
    }
    expect(most).toBeLessThan(BUCKETS_MAX);
    const asOf = noon + (EVENTS - 1) * gap;
    const { values, windowStarts } = readAll(fold, state, asOf);
    for (const [w, window] of windows.entries()) {
      const windowStart = windowStarts[2 * w]!;
      expect(windowStart - (asOf - window)).toBeLessThan([MINUTE, 15 * MINUTE, HOUR][w]!);
      expect(values[2 * w]).toBe(Math.floor((asOf - windowStart) / gap) + ((asOf - windowStart) % gap === 0 ? 0 : 1));
      expect(values[2 * w + 1]).toBeCloseTo(4.5, 2);
    }
    expect(fold.encode(state).length).toBeLessThan(40_000);
  });

  it.each([
    // cells of 15m, and of 1m, that a day holds; 128 raw, up to 64 since the last compaction, and some slack
    [30 * MINUTE, 96],
    [MINUTE, 1440],
  ])("keeps a bucket a hop of a session that never ends, with a gap of %d microseconds", (gapMicros, cells) => {
    const session = viewOf([
      feature(int64, { fn: "count", over: { kind: "session", gapMicros, maxMicros: DAY } }),
      feature(int64, { fn: "countSessions", parameters: { gapMicros }, over: { kind: "time", micros: DAY } }),
    ]);
    const fold = compileViewFold(session, streamOf({ x: float64 }), user);
    const state = fold.empty();
    let most = 0;
    for (let i = 0; i < 300_000; i++) {
      foldRow(fold, state, i, noon + i * SECOND, [1]);
      if (i % 100 === 0) most = Math.max(most, state.list.bucketCount + state.list.rawCount);
    }
    expect(most).toBeLessThan(cells + 128 + 64 + 20);
    const { values, windowStarts } = readAll(fold, state, noon + 299_999 * SECOND);
    expect(values[0]).toBe(299_999 - Math.floor((windowStarts[0]! - noon) / SECOND));
    expect(values).toEqual([values[0], 1]);
  });

  it("forgets what no window reaches, and keeps a quiet entity's last events whole", () => {
    const fold = compileViewFold(view, streamOf({ x: float64 }), user);
    const state = fold.empty();
    for (let i = 0; i < 5000; i++) foldRow(fold, state, i, noon + i * DAY, [1]);
    expect(state.list.bucketCount).toBe(0);
    expect(state.list.rawCount).toBeLessThanOrEqual(7 + 64);
    expect(readAll(fold, state, noon + 4999 * DAY).values[4]).toBe(7);
  });
});

describe("compaction", () => {
  it("comes to the same list whether or not it knows where it looked last", () => {
    let merged = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const random = new SeededRandom(seed);
      const features = windows.flatMap((micros) => [
        feature(float64, { fn: "sum", column: "x", over: { kind: "time", micros } }),
        feature(string, { fn: "last", column: "s", over: { kind: "time", micros } }),
      ]);
      const source = streamOf({ x: float64, s: string });
      const fold = compileViewFold(viewOf(features, { exactEvents: random.pick([0, 1, 8, 128]) }), source, user);
      const kept = fold.empty();
      let decoded = fold.empty();
      let now: number = noon;
      for (let i = 0; i < 1500; i++) {
        // now and then quiet for long, now and then late by as much
        now += random.integer(0, random.pick([SECOND, MINUTE, MINUTE, HOUR, random.oneIn(40) ? 3 * DAY : MINUTE]));
        const at = random.oneIn(8) ? now - random.integer(0, random.pick([HOUR, DAY, 8 * DAY])) : now;
        const values = [random.integer(-50, 50), `s${i}`];
        foldRow(fold, kept, i, at, values, now);
        // a decoded state does not know
        decoded = fold.decode(fold.encode(decoded));
        foldRow(fold, decoded, i, at, values, now);
      }
      merged += kept.list.bucketCount;
      expect(Buffer.compare(fold.encode(kept), fold.encode(decoded)), `seed ${seed}`).toBe(0);
    }
    expect(merged).toBeGreaterThan(1000);
  });
});
