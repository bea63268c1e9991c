/**
 * One aggregation by a category: plain features with plain names, one a group and one for all the rest.
 */
import { describe, expect, it } from "vitest";
import type { FeatureDefinition } from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { Micros } from "../../src/base/micros.ts";
import { createReadBuffer } from "../../src/fold/view-fold.ts";
import {
  col,
  count,
  countDistinct,
  entity,
  histogram,
  lastK,
  quantile,
  rate,
  stream,
  sum,
  t,
  view,
} from "../../src/index.ts";

const user = entity("user", { user: t.string() });
const payments = stream("payments", {
  columns: {
    user: t.string(),
    at: t.timestamp(),
    amount: t.float64(),
    category: t.string().nullable(),
    level: t.int64().nullable(),
  },
  eventTime: "at",
});
const base = { entity: user, source: payments } as const;

describe("grouped features", () => {
  const spending = view("spending", {
    ...base,
    features: {
      spent: sum("amount")
        .over("1h")
        .where(col("amount").gt(0))
        .default(0)
        .by("category", { groups: ["food", "fun"] }),
      seen: count().by("level", { groups: { low: 1, high: 9 } }),
      all: count(),
    },
  });
  const names = spending.features.map((feature: FeatureDefinition) => feature.name);

  it("are one feature a group, and one for all other values", () => {
    expect(names).toEqual(["spent_food", "spent_fun", "spent_other", "seen_low", "seen_high", "seen_other", "all"]);
    expect(spending.features[0]).toEqual({
      name: "spent_food",
      type: { name: "float64" },
      default: 0,
      aggregation: {
        fn: "sum",
        column: "amount",
        over: { kind: "time", micros: 3_600_000_000 },
        where: {
          op: "and",
          left: { op: "gt", left: { op: "column", name: "amount" }, right: { op: "literal", value: 0 } },
          right: { op: "eq", left: { op: "column", name: "category" }, right: { op: "literal", value: "food" } },
        },
      },
    });
  });

  it("count every event in one group, those where the category is null in none", () => {
    const fold = compileViewFold(spending, payments, user);
    const state = fold.empty();
    const rows: [number, string | null, number | null][] = [
      [1, "food", 1],
      [2, "fun", 9],
      [4, "rent", 5],
      [8, "travel", null],
      [16, null, 1],
      [-32, "food", 1],
      [64, "food", 1],
    ];
    for (const [i, [amount, category, level]] of rows.entries()) {
      const time = i as Micros;
      fold.fold(state, { offset: i, eventTime: time, knownTime: time, row: ["u", i, amount, category, level] });
    }
    const buffer = createReadBuffer(names.length);
    fold.read(state, 10 as Micros, buffer);
    expect(buffer.values).toEqual([65, 2, 12, 4, 1, 1, 7]);
  });

  it.each([
    [[], "by needs 1 to 100 groups, not 0"],
    [["a", "a"], "by: a group is there twice"],
    [["other"], 'by: a group named "other" would hide all other values'],
    [["a b"], 'by: group "a b" is no part of a name'],
    [Array.from({ length: 101 }, (_, i) => `g${i}`), "by needs 1 to 100 groups, not 101"],
  ])("are refused: %j", (groups, message) => {
    expect(() => view("v", { ...base, features: { a: count().by("category", { groups }) } })).toThrow(
      expect.objectContaining({ code: "DEFINITION_INVALID", message: expect.stringContaining(message) }),
    );
  });

  it("of a column that is not there, or of another type, are refused", () => {
    const withGroups = (column: string, groups: Record<string, string>) => () =>
      view("v", { ...base, features: { a: count().by(column as "category", { groups }) } });
    expect(withGroups("categry", { a: "a" })).toThrow(/categry/);
    expect(withGroups("level", { a: "a" })).toThrow(/level|int64/);
  });
});

describe("parameters in the DSL", () => {
  it("become data, and a wrong one is refused by the view with the feature's name", () => {
    const { features } = view("v", {
      ...base,
      features: {
        last3: lastK("category", 3),
        kinds: countDistinct("category").over("7d"),
        shape: histogram("category", { categories: ["food", "fun"] }),
        p99: quantile("amount", 0.99).over({ last: 100 }),
        pace: rate().over("1m"),
      },
    });
    expect(features.map(({ aggregation }: FeatureDefinition) => aggregation.parameters)).toEqual([
      { k: 3 },
      undefined,
      { categories: ["food", "fun"] },
      { q: 0.99 },
      undefined,
    ]);
    expect(() => view("v", { ...base, features: { a: rate() } })).toThrow(/feature "a": rate needs a time window/);
    expect(() => view("v", { ...base, features: { a: quantile("amount", 2) } })).toThrow(
      /feature "a": quantile: q is 2/,
    );
  });
});
