/**
 * The most frequent values, their counts and the rest: three features over one state that add up.
 */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { TOP_ERROR_MAX } from "../../src/fold/top-values.ts";
import { createReadBuffer } from "../../src/fold/view-fold.ts";
import type { Value } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { feature, foldRow, HOUR, int64, MINUTE, readAll, streamOf, string, time, user, viewOf } from "./definitions.ts";

const noon = time("2026-03-01T12:00:00Z");
const stream = streamOf({ shop: string });

function topOf(k: number, over?: { readonly kind: "time"; readonly micros: number }) {
  const shape = { column: "shop", parameters: { k }, ...(over === undefined ? {} : { over }) };
  return [
    feature({ name: "array", element: string }, { fn: "topK", ...shape }),
    feature({ name: "array", element: int64 }, { fn: "topCounts", ...shape }),
    feature(int64, { fn: "topOther", ...shape }),
  ];
}

describe("the most frequent values", () => {
  it("have counts in their order, which with the rest make up all events that had one", () => {
    const fold = compileViewFold(viewOf([...topOf(2), ...topOf(2, { kind: "time", micros: HOUR })]), stream, user);
    expect(readAll(fold, null, noon).values).toEqual([null, null, 0, null, null, 0]);
    const state = fold.empty();
    for (const [i, shop] of ["a", "b", "c", null, "b", "d", "b", "c"].entries()) {
      foldRow(fold, state, i, noon + i * 10 * MINUTE, [shop]);
    }
    expect(readAll(fold, state, noon + 70 * MINUTE).values).toEqual([["b", "c"], [3, 2], 2, ["b", "c"], [2, 2], 1]);
    expect(readAll(fold, state, noon + 120 * MINUTE).values.slice(3)).toEqual([["c"], [1], 0]);
  });

  it("share one state, whatever k", () => {
    const one = compileViewFold(viewOf(topOf(2).slice(0, 1)), stream, user);
    const six = compileViewFold(viewOf([...topOf(2), ...topOf(9)]), stream, user);
    const [small, large] = [one.empty(), six.empty()];
    for (let i = 0; i < 100; i++) {
      foldRow(one, small, i, noon, [`${i % 7}`]);
      foldRow(six, large, i, noon, [`${i % 7}`]);
    }
    expect(six.encode(large).length).toBe(one.encode(small).length);
  });

  it("past 256 of them are off by no more than is stated, and still add up", () => {
    const random = new SeededRandom(6);
    const k = 5;
    const fold = compileViewFold(viewOf(topOf(k)), stream, user);
    const buffer = createReadBuffer(3);
    for (let round = 0; round < 10; round++) {
      const state = fold.empty();
      const counts = new Map<string, number>();
      const events = 5000;
      for (let i = 0; i < events; i++) {
        const shop = random.oneIn(2) ? `often ${random.integer(0, 9)}` : `v${random.integer(0, 2000)}`;
        counts.set(shop, (counts.get(shop) ?? 0) + 1);
        foldRow(fold, state, i, noon + i, [shop]);
      }
      fold.read(state, (noon + events) as Micros, buffer);
      const [values, found, other] = buffer.values as [string[], number[], Value];
      const [stated, , statedOfOther] = buffer.errors as [number, number, number];
      expect(stated).toBeGreaterThan(0);
      expect(stated).toBeLessThanOrEqual(TOP_ERROR_MAX);
      expect(statedOfOther).toBe(k * stated);
      expect(found.reduce((sum, count) => sum + count, other as number)).toBe(events);
      for (const [i, value] of values.entries()) {
        expect(found[i]).toBeLessThanOrEqual(counts.get(value)!);
        expect(counts.get(value)! - found[i]!).toBeLessThanOrEqual(stated * events + 1e-9);
      }
      const rest = events - values.reduce((sum, value) => sum + counts.get(value)!, 0);
      expect((other as number) - rest).toBeGreaterThanOrEqual(0);
      expect((other as number) - rest).toBeLessThanOrEqual(statedOfOther * events + 1e-9);
    }
  });
});
