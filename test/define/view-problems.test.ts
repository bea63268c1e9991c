/**
 * A view that definitions accept is one that the fold can compute, and the other way round: both are asked
 * about random aggregations over columns of every type.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OnefoldError } from "../../src/base/errors.ts";
import { col } from "../../src/define/expression-builder.ts";
import type { ViewDefinition } from "../../src/define/definition.ts";
import type {
  Aggregation,
  AggregationName,
  AggregationParameters,
  CustomAggregation,
} from "../../src/define/aggregation-definition.ts";
import { featureType } from "../../src/define/feature-type.ts";
import { entity } from "../../src/define/entity.ts";
import { t } from "../../src/define/column-type.ts";
import { stream } from "../../src/define/source.ts";
import { columnsOf } from "../../src/define/source-problems.ts";
import { viewProblems } from "../../src/define/view-problems.ts";
import { AGGREGATION_TABLE } from "../../src/fold/aggregation-table.ts";
import { compileViewFold } from "../../src/fold/compile.ts";

const user = entity("user", { user: t.string() });
const events = stream("events", {
  columns: {
    user: t.string(),
    at: t.timestamp(),
    whole: t.int64(),
    wide: t.int64({ wide: true }),
    real: t.float64(),
    raw: t.bytes(),
    flag: t.bool(),
    list: t.array(t.int64()),
  },
  eventTime: "at",
  derive: { lower: col("user").lower(), ratio: col("whole").divide(col("real")) },
});
const columns = columnsOf(events);

const plain: CustomAggregation = { name: "c", output: { name: "int64" }, empty: () => 0, add: (s) => s, read: () => 0 };
const mergeable: CustomAggregation = { ...plain, merge: (a) => a };

const NAMES = Object.keys(AGGREGATION_TABLE) as readonly AggregationName[];

/** Parameters that are right for the aggregations that take some. */
const OWN: Partial<Record<AggregationName, AggregationParameters>> = {
  firstK: { k: 3 },
  lastK: { k: 1000 },
  topK: { k: 3 },
  topCounts: { k: 64 },
  topOther: { k: 3 },
  quantile: { q: 1 },
  ewma: { halfLifeMicros: 1 },
  decayedSum: { halfLifeMicros: 60_000_000 },
  countSessions: { gapMicros: 60_000_000 },
  histogram: { categories: [1, 2] },
};
const PARAMETERS: readonly AggregationParameters[] = [
  ...Object.values(OWN),
  {},
  { k: 0 },
  { k: 1001 },
  { q: 1.5 },
  { halfLifeMicros: 0.5 },
  { gapMicros: -1 },
  { categories: [] },
  { categories: ["a"] },
  { categories: [true, true] },
];

const aggregations: fc.Arbitrary<Aggregation> = fc
  .record(
    {
      fn: fc.constantFrom(...NAMES),
      column: fc.constantFrom("whole", "real", ...columns.map((column) => column.name), "gone"),
      over: fc.constantFrom<NonNullable<Aggregation["over"]>>(
        { kind: "time", micros: 3_600_000_000 },
        { kind: "time", micros: 60_000_000 },
        { kind: "time", micros: 0 },
        { kind: "last", events: 20 },
        { kind: "last", events: 0 },
        { kind: "last", events: 1.5 },
        { kind: "session", gapMicros: 60_000_000, maxMicros: 3_600_000_000 },
        { kind: "session", gapMicros: 0, maxMicros: 3_600_000_000 },
        { kind: "session", gapMicros: 60_000_000, maxMicros: 1 },
        { kind: "session", gapMicros: 1, maxMicros: 60_000_000 },
      ),
      parameters: fc.oneof({ weight: 4, arbitrary: fc.constant("its own" as const) }, fc.constantFrom(...PARAMETERS)),
      where: fc.constantFrom(
        col("flag").expression,
        col("whole").gt(1).expression,
        col("whole").expression,
        col("gone").expression,
        col("ratio").lt(0.5).and(col("lower").ne("a")).expression,
      ),
      custom: fc.constantFrom(plain, mergeable),
    },
    { requiredKeys: ["fn"] },
  )
  .map(({ custom, parameters = "its own", ...rest }) => {
    const its = parameters === "its own" ? OWN[rest.fn] : parameters;
    const aggregation = its === undefined ? rest : { ...rest, parameters: its };
    return aggregation.fn === "custom" ? { ...aggregation, custom: custom ?? plain } : aggregation;
  });

function viewOf(aggregation: Aggregation, key: string): ViewDefinition {
  const type = featureType(aggregation, columns);
  return {
    kind: "view",
    name: "v",
    version: 1,
    entity: "user",
    source: "events",
    key: [key],
    features: [{ name: "a", type: typeof type === "string" ? { name: "int64" } : type, aggregation }],
    online: true,
    offline: true,
    freshness: "real-time",
    exactEvents: 128,
  };
}

describe("views that definitions accept", () => {
  it("are those the fold compiles", () => {
    let accepted = 0;
    const keys = fc.constantFrom("user", "user", "user", "user", "lower", "lower", "whole", "gone");
    fc.assert(
      fc.property(aggregations, keys, (aggregation, key) => {
        const view = viewOf(aggregation, key);
        const problems = viewProblems(view, events, user);
        let refused: unknown = null;
        try {
          compileViewFold(view, events, user);
        } catch (error) {
          expect(error).toBeInstanceOf(OnefoldError);
          refused = (error as OnefoldError).message;
        }
        if (problems.length === 0) accepted++;
        expect({ problems, refused }).toEqual(
          problems.length === 0 ? { problems: [], refused: null } : { problems, refused: expect.any(String) as string },
        );
      }),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(300);
  });
});
