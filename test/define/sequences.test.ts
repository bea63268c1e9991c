/**
 * Sequences: plain lists with plain names, one a column and one of times, in which one place is one event.
 * ONEFOLD_SEED=n runs the random events from the seed that a failure printed.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import type { FeatureDefinition } from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer } from "../../src/fold/view-fold.ts";
import { col, entity, sequence, stream, t, view } from "../../src/index.ts";
import type { Value } from "../../src/schema/value.ts";

const user = entity("user", { user: t.string() });
const views = stream("views", {
  columns: {
    user: t.string(),
    seen_at: t.timestamp(),
    item: t.string().nullable(),
    price: t.float64().nullable(),
    shop: t.string(),
  },
  eventTime: "seen_at",
});
const base = { entity: user, source: views } as const;
const MINUTE = 60_000_000;

const browsing = view("browsing", {
  ...base,
  features: {
    viewed: sequence(["item", "price"], { length: 3 }).describe("what the user looked at"),
    session: sequence(["item"], { length: 3 }).over({ session: "2m" }).where(col("price").gt(1)).ttl("1h"),
  },
});

interface Seen {
  readonly item: string | null;
  readonly price: number | null;
  /** Minutes. */
  readonly at: number;
}

/** The events are known a minute apart; they happened when they say. */
function readAfter(events: readonly Seen[]): readonly Value[] {
  const fold = compileViewFold(browsing, views, user);
  const state = fold.empty();
  for (const [i, { item, price, at }] of events.entries()) {
    const [eventTime, knownTime] = [at * MINUTE, i * MINUTE] as [Micros, Micros];
    fold.fold(state, { offset: i, eventTime, knownTime, row: ["u", eventTime, item, price, "s"] });
  }
  const buffer = createReadBuffer(browsing.features.length);
  fold.read(state, (Math.max(0, events.length - 1) * MINUTE) as Micros, buffer);
  return buffer.values;
}

describe("sequences", () => {
  it("are a list a column, and one of the source's event times", () => {
    expect(browsing.features.map(({ name, type }: FeatureDefinition) => [name, type])).toEqual([
      ["viewed_item", { name: "array", element: { name: "string" } }],
      ["viewed_price", { name: "array", element: { name: "float64" } }],
      ["viewed_at", { name: "array", element: { name: "timestamp" } }],
      ["session_item", { name: "array", element: { name: "string" } }],
      ["session_at", { name: "array", element: { name: "timestamp" } }],
    ]);
    const [item, , at] = browsing.features as readonly FeatureDefinition[];
    expect(item).toMatchObject({
      description: "what the user looked at",
      aggregation: { fn: "lastK", column: "item" },
    });
    expect(at).toMatchObject({ aggregation: { fn: "lastK", column: "seen_at", parameters: { k: 3 } } });
    expect(at!.aggregation.where).toEqual(item!.aggregation.where);
  });

  it("hold the last events in which no column is null, oldest first, late ones in their place", () => {
    expect(
      readAfter([
        { item: "a", price: 1, at: 0 },
        { item: "b", price: null, at: 1 },
        { item: "c", price: 3, at: 2 },
        { item: null, price: 4, at: 3 },
        { item: "e", price: 5, at: 4 },
        { item: "f", price: 6, at: 1 },
      ]),
    ).toEqual([
      ["f", "c", "e"],
      [6, 3, 5],
      [MINUTE, 2 * MINUTE, 4 * MINUTE],
      ["f", "c", "e"],
      [MINUTE, 2 * MINUTE, 4 * MINUTE],
    ]);
    expect(readAfter([])).toEqual([null, null, null, null, null]);
    expect(readAfter([{ item: "b", price: null, at: 0 }])).toEqual([null, null, null, null, null]);
  });

  it("have one length and one event in each place, of random events with nulls and in any order", () => {
    const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { freq: 3 });
    const seen = fc.record({
      item: orNull(fc.constantFrom("a", "b", "c")),
      price: orNull(fc.integer({ min: 0, max: 9 })),
      at: fc.integer({ min: -20, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(seen, { maxLength: 40 }), (events) => {
        const ordered = events
          .map((event, i) => ({ ...event, effective: Math.min(event.at, i) }))
          .sort((a, b) => a.effective - b.effective);
        const whole = ordered.filter(({ item, price }) => item !== null && price !== null).slice(-3);
        const listOf = (list: readonly Value[]): Value => (list.length === 0 ? null : list);
        expect(readAfter(events).slice(0, 3)).toEqual([
          listOf(whole.map(({ item }) => item)),
          listOf(whole.map(({ price }) => price)),
          listOf(whole.map(({ at }) => at * MINUTE)),
        ]);
      }),
      {
        numRuns: 300,
        ...(process.env["ONEFOLD_SEED"] === undefined ? {} : { seed: Number(process.env["ONEFOLD_SEED"]) }),
      },
    );
  });

  it.each([
    [sequence([], { length: 3 }), "sequence takes a list of columns"],
    [sequence(["item", "item"], { length: 3 }), "sequence: a column is there twice"],
    [sequence(["at"], { length: 3 }), 'sequence: a column named "at" would hide the times'],
    [sequence(["item"], { length: 0 }), "k is 0"],
    [sequence(["item"], { length: 3 }).over("1hr" as "1h"), '"1hr" is not a duration'],
    [sequence(["itme"], { length: 3 }), "itme"],
    [sequence([col("item") as never], { length: 3 }), "sequence takes the names of columns, in quotes"],
    [sequence("item" as never, { length: 3 }), "sequence takes a list of columns"],
  ])("are refused with what is wrong: %#", (wrong, message) => {
    expect(() => view("v", { ...base, features: { a: wrong as never } })).toThrow(
      expect.objectContaining({ code: "DEFINITION_INVALID", message: expect.stringContaining(message) }),
    );
  });
});

describe("session windows in the DSL", () => {
  it("become data with their max, and a wrong one is refused by the view with the feature's name", () => {
    const { features } = view("v", {
      ...base,
      features: {
        short: sequence(["item"], { length: 3 }).over({ session: "30m" }),
        long: sequence(["item"], { length: 3 }).over({ session: "30m", max: "2d" }),
      },
    });
    expect(features.map(({ aggregation }: FeatureDefinition) => aggregation.over)).toEqual([
      ...Array.from({ length: 2 }, () => ({ kind: "session", gapMicros: 30 * MINUTE, maxMicros: 1440 * MINUTE })),
      ...Array.from({ length: 2 }, () => ({ kind: "session", gapMicros: 30 * MINUTE, maxMicros: 2880 * MINUTE })),
    ]);
    const withMax = (session: "2d" | "1s", max?: "1d") => () =>
      view("v", {
        ...base,
        features: { a: sequence(["item"], { length: 3 }).over({ session, ...(max === undefined ? {} : { max }) }) },
      });
    expect(withMax("2d")).toThrow(/feature "a_item": over: the session's max 1d is shorter than its gap 2d/);
    expect(withMax("1s", "1d")).toThrow(/reaches back at most 5000 gaps, not 1d: give a max of up to 5000s/);
  });
});
