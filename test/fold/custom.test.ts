/**
 * The user's own aggregations, well-behaved and not.
 */
import { describe, expect, it } from "vitest";
import type { CustomAggregation } from "../../src/define/aggregation-definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { Value } from "../../src/schema/value.ts";
import {
  DAY,
  feature,
  foldRow,
  HOUR,
  int64,
  readAll,
  SECOND,
  streamOf,
  string,
  time,
  user,
  viewOf,
} from "./definitions.ts";

const stream = streamOf({ n: int64, s: string });
const noon = time("2026-03-01T12:00:00Z");
const over = { kind: "time", micros: HOUR } as const;

/** Joins texts in order: not commutative, so it shows the order of merging. */
const joined: CustomAggregation = {
  name: "joined",
  output: string,
  empty: () => [],
  add: (state, input) => [...(state as string[]), input],
  merge: (earlier, later) => [...(earlier as string[]), ...(later as string[])],
  read: (state) => (state as string[]).join(""),
};

function compile(custom: CustomAggregation, windowed: boolean, column?: string): ReturnType<typeof compileViewFold> {
  const aggregation = {
    fn: "custom",
    custom,
    ...(column === undefined ? {} : { column }),
    ...(windowed ? { over } : {}),
  } as const;
  return compileViewFold(viewOf([feature(custom.output, aggregation)], { exactEvents: 4 }), stream, user);
}

describe("custom aggregations", () => {
  it("merge in order of time over any number of events and encodings", () => {
    const fold = compile(joined, true, "s");
    let state = fold.empty();
    for (let i = 0; i < 500; i++) {
      foldRow(fold, state, i, noon + i * SECOND, [i, i % 7 === 0 ? null : String(i % 10)]);
      if (i % 50 === 0) state = fold.decode(fold.encode(state));
    }
    const expected = Array.from({ length: 500 }, (_, i) => (i % 7 === 0 ? "" : String(i % 10))).join("");
    expect(state.list.bucketCount).toBeGreaterThan(0);
    expect(readAll(fold, state, noon + 500 * SECOND).values).toEqual([expected]);
  });

  it("cannot change a state behind the fold's back", () => {
    const mutating: CustomAggregation = {
      ...joined,
      add: (state, input) => {
        (state as unknown[]).push(input);
        return state;
      },
      read: (state) => {
        const text = (state as string[]).join("");
        (state as unknown[]).length = 0;
        return text;
      },
    };
    const fold = compile(mutating, false, "s");
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [0, "a"]);
    foldRow(fold, state, 1, noon, [0, "b"]);
    expect(readAll(fold, state, noon).values).toEqual(["ab"]);
    expect(readAll(fold, state, noon).values).toEqual(["ab"]);
  });

  it("over whole rows get every column by name, and the effective time", () => {
    const seen: unknown[] = [];
    const fold = compile({ ...joined, add: (_state, input, at) => (seen.push([input, at]), []) }, false);
    foldRow(fold, fold.empty(), 0, noon + 1, [3, null], noon);
    expect(seen).toEqual([[{ user: "u", at: noon + 1, n: 3, s: null }, noon]]);
  });

  it("that throw, or return what is not JSON data, make the event poison", () => {
    const returns: readonly unknown[] = [undefined, Number.NaN, new Map(), () => 1, 1n, [undefined]];
    for (const windowed of [false, true]) {
      const state = (index: number): ReturnType<CustomAggregation["add"]> => {
        if (index === returns.length) throw new Error("thrown");
        return returns[index];
      };
      const fold = compile(
        { ...joined, add: (before, input) => (input === -1 ? before : state(input as number)) },
        windowed,
        "n",
      );
      const target = fold.empty();
      foldRow(fold, target, 0, noon, [-1, null]);
      const bytes = fold.encode(target);
      for (let i = 0; i <= returns.length; i++) {
        expect(foldRow(fold, target, 1 + i, noon, [i, null]).kind, String(i)).toBe("poison");
        expect(fold.encode(target)).toEqual(bytes);
      }
    }
  });

  it("may throw anything at all: it is poison", () => {
    const thrown: readonly unknown[] = [
      null,
      undefined,
      Object.create(null),
      {
        toString: () => {
          throw new Error("no");
        },
      },
    ];
    for (const one of thrown) {
      const add = (): never => {
        throw one;
      };
      const fold = compile({ ...joined, add }, false, "s");
      expect(foldRow(fold, fold.empty(), 0, noon, [0, "a"])).toMatchObject({ kind: "poison" });
    }
  });

  it("whose read throws or gives another type read as ERROR", () => {
    const results: readonly unknown[] = [1, undefined, ["a"], true];
    for (const result of results) {
      const fold = compile({ ...joined, read: () => result as Value }, false, "s");
      const state = fold.empty();
      foldRow(fold, state, 0, noon, [0, "a"]);
      expect(readAll(fold, state, noon)).toMatchObject({ values: [null], statuses: ["ERROR"] });
      expect(readAll(fold, null, noon)).toMatchObject({ values: [null], statuses: ["NOT_FOUND"] });
    }
  });

  it("whose merge throws read as ERROR while a bucket that failed is in the window, and recover", () => {
    const touchy: CustomAggregation = {
      ...joined,
      merge: (earlier, later) => {
        const merged = [...(earlier as string[]), ...(later as string[])];
        if (merged.includes("!") && merged.length > 1) throw new Error("no");
        return merged;
      },
    };
    const fold = compile(touchy, true, "s");
    let state = fold.empty();
    for (let i = 0; i < 300; i++) {
      expect(foldRow(fold, state, i, noon + i * SECOND, [0, i === 10 ? "!" : "x"]).kind).toBe("folded");
      state = fold.decode(fold.encode(state));
    }
    expect(readAll(fold, state, noon + 300 * SECOND).statuses).toEqual(["ERROR"]);
    expect(readAll(fold, state, noon + HOUR + 100 * SECOND).statuses).toEqual(["PRESENT"]);
    // late, and into the failed bucket: nothing more can go wrong there
    expect(foldRow(fold, state, 300, noon + 10 * SECOND + 1, [0, "x"], noon + 300 * SECOND).kind).toBe("folded");
    // late, and into a bucket that cannot take it
    const before = fold.encode(state);
    const outcome = foldRow(fold, state, 301, noon + 70 * SECOND + 1, [0, "!"], noon + 300 * SECOND);
    expect(outcome.kind).toBe("poison");
    expect(fold.encode(state)).toEqual(before);
  });

  it("are refused over a window without merge, and where empty() fails", () => {
    const { merge: _, ...unmerged } = joined;
    expect(() => compile(unmerged, true, "s")).toThrow(/needs merge/);
    expect(compile(unmerged, false, "s").features).toHaveLength(1);
    expect(() => compile({ ...joined, empty: () => new Date(DAY) }, false)).toThrow(
      /empty\(\) of custom aggregation "joined" failed/,
    );
  });
});
