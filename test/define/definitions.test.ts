import { describe, expect, it } from "vitest";
import type { OnefoldError } from "../../src/base/errors.ts";
import type { Definition } from "../../src/define/definition.ts";
import { column, count, last, max, mean, sum } from "../../src/define/aggregation-builder.ts";
import { t } from "../../src/define/column-type.ts";
import { custom } from "../../src/define/custom.ts";
import { entity } from "../../src/define/entity.ts";
import { col, lit, when } from "../../src/define/expression-builder.ts";
import { onDemand } from "../../src/define/on-demand.ts";
import { service } from "../../src/define/service.ts";
import { batch, stream } from "../../src/define/source.ts";
import { view } from "../../src/define/view.ts";

const airport = entity("airport", { airport: t.string() }, { description: "IATA code", owner: "ops", tags: ["geo"] });
const arrivals = stream("arrivals", {
  columns: {
    flight: t.string().describe("its number"),
    origin: t.string(),
    arrived_at: t.timestamp(),
    delay: t.int64().nullable(),
  },
  eventTime: "arrived_at",
  id: "flight",
  derive: {
    late: col("delay").gt(15),
    hour: col("arrived_at").hour(),
    late_night: col("late").and(col("hour").gte(22)),
  },
  require: { plausible_delay: col("delay").gte(-90) },
  maxFuture: "2m",
});
const base = { entity: airport, source: arrivals, key: { airport: "origin" } } as const;

function refusal(define: () => unknown): OnefoldError {
  try {
    define();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}

/** The line of this file on which the caller stands. */
function hereLine(): number {
  return Number(/definitions\.test\.ts:(\d+)/.exec(new Error("here").stack!.split("\n")[2]!)![1]);
}

function isFrozenThrough(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozenThrough);
}

describe("definitions are frozen plain data", () => {
  it("writes an entity and a stream with their defaults", () => {
    const { definedAt, ...data } = airport;
    expect(data).toEqual({
      kind: "entity",
      name: "airport",
      keys: [{ name: "airport", type: { name: "string" } }],
      description: "IATA code",
      owner: "ops",
      tags: ["geo"],
    });
    expect(definedAt?.file).toMatch(/definitions\.test\.ts$/);
    const { definedAt: _, ...source } = arrivals;
    expect(source).toEqual({
      kind: "stream",
      name: "arrivals",
      columns: [
        { name: "flight", type: { name: "string" }, nullable: false, description: "its number" },
        { name: "origin", type: { name: "string" }, nullable: false },
        { name: "arrived_at", type: { name: "timestamp" }, nullable: false },
        { name: "delay", type: { name: "int64" }, nullable: true },
      ],
      derived: [
        {
          name: "late",
          type: { name: "bool" },
          expression: { op: "gt", left: { op: "column", name: "delay" }, right: { op: "literal", value: 15 } },
        },
        {
          name: "hour",
          type: { name: "int64" },
          expression: { op: "hour", input: { op: "column", name: "arrived_at" } },
        },
        {
          name: "late_night",
          type: { name: "bool" },
          expression: {
            op: "and",
            left: { op: "column", name: "late" },
            right: { op: "gte", left: { op: "column", name: "hour" }, right: { op: "literal", value: 22 } },
          },
        },
      ],
      constraints: [
        {
          name: "plausible_delay",
          predicate: { op: "gte", left: { op: "column", name: "delay" }, right: { op: "literal", value: -90 } },
        },
      ],
      eventTime: "arrived_at",
      id: "flight",
      allowNonFinite: false,
      maxFutureMicros: 120_000_000,
      dedupeWithinMicros: 7 * 86_400_000_000,
      availableAfterMicros: 0,
    });
  });

  it("writes a stream's Kafka topic, by its name or whole, and no other", () => {
    const columns = { user: t.string(), at: t.timestamp() };
    const of = (kafka: any) => stream("clicks", { columns, eventTime: "at", kafka }).kafka;
    expect(of("web.clicks-1")).toEqual({ topic: "web.clicks-1" });
    expect(of({ topic: "clicks", direct: true })).toEqual({ topic: "clicks", direct: true });
    expect(of({ topic: "clicks", direct: false })).toEqual({ topic: "clicks" });
    for (const wrong of ["", "a topic", { topic: 1 }, { topic: "clicks", partitions: 3 }]) {
      expect(() => of(wrong)).toThrow(expect.objectContaining({ code: "DEFINITION_INVALID" }));
    }
  });

  it("writes a view with inferred types, parsed durations and every option of a feature", () => {
    const { definedAt: _, ...data } = view("delays", {
      ...base,
      ttl: "30d",
      features: {
        arrivals_1h: count().over("1h"),
        mean_delay: mean("delay")
          .over("24h")
          .where(col("late"))
          .default(0)
          .ttl("2h")
          .freshness("5m")
          .describe("minutes")
          .owner("ml")
          .tags("a")
          .tags("b"),
        worst_20: max("delay").over({ last: 20 }),
        first_late: last("arrived_at").where(col("late")).where(col("origin").ne("JFK")).default(new Date(0)),
        flight: column("flight"),
      },
    });
    expect(data).toEqual({
      kind: "view",
      name: "delays",
      version: 1,
      entity: "airport",
      source: "arrivals",
      key: ["origin"],
      online: true,
      offline: true,
      freshness: "real-time",
      ttlMicros: 30 * 86_400_000_000,
      exactEvents: 128,
      features: [
        {
          name: "arrivals_1h",
          type: { name: "int64" },
          aggregation: { fn: "count", over: { kind: "time", micros: 3_600_000_000 } },
        },
        {
          name: "mean_delay",
          type: { name: "float64" },
          aggregation: {
            fn: "mean",
            column: "delay",
            over: { kind: "time", micros: 86_400_000_000 },
            where: { op: "column", name: "late" },
          },
          default: 0,
          ttlMicros: 7_200_000_000,
          freshness: 300_000_000,
          description: "minutes",
          owner: "ml",
          tags: ["a", "b"],
        },
        {
          name: "worst_20",
          type: { name: "int64" },
          aggregation: { fn: "max", column: "delay", over: { kind: "last", events: 20 } },
        },
        {
          name: "first_late",
          type: { name: "timestamp" },
          aggregation: {
            fn: "last",
            column: "arrived_at",
            where: {
              op: "and",
              left: { op: "column", name: "late" },
              right: { op: "ne", left: { op: "column", name: "origin" }, right: { op: "literal", value: "JFK" } },
            },
          },
          default: 0,
        },
        { name: "flight", type: { name: "string" }, aggregation: { fn: "last", column: "flight" } },
      ],
    });
  });

  it("lets a view offer its features, whole, chosen, prefixed or renamed, and stays data", () => {
    const delays = view("delays", { ...base, features: { a: count(), b: mean("delay") } });
    expect(JSON.parse(JSON.stringify(delays))).toEqual({ ...delays });
    expect(Object.keys(delays)).not.toContain("pick");
    const reference = { view: "delays", version: 1 };
    const model = service("model", {
      features: [delays, delays.pick("b").prefix("dest_"), delays.rename({ a: "events" }).pick("events")],
    });
    expect(model.features).toEqual([
      { ...reference, feature: "a", as: "a" },
      { ...reference, feature: "b", as: "b" },
      { ...reference, feature: "b", as: "dest_b" },
      { ...reference, feature: "a", as: "events" },
    ]);
  });

  it("freezes all it returns", () => {
    const delays = view("delays", { ...base, features: { a: count().where(col("late").in([true])) } });
    const twice = onDemand("twice", {
      inputs: [delays],
      outputs: { twice: t.int64() },
      compute: ({ a }) => ({ twice: a * 2 }),
    });
    const weather = batch("weather", {
      columns: { at: t.timestamp(), airport: t.string() },
      eventTime: "at",
      format: "csv",
      location: "*.csv",
      schedule: "*/5 0 * * 1-5",
    });
    const all: Definition[] = [airport, arrivals, delays, twice, weather, service("s", { features: [twice] })];
    for (const definition of all) expect(isFrozenThrough(definition)).toBe(true);
    expect(isFrozenThrough(t.array(t.int64()).valueType)).toBe(true);
  });

  it("remembers the line on which each was written", () => {
    const line = hereLine() + 1;
    const here = entity("here", { a: t.string() });
    expect(here.definedAt).toMatchObject({ line, file: expect.stringMatching(/definitions\.test\.ts$/) as string });
    const ofCustom = view("v", {
      ...base,
      features: { c: custom("c", { output: t.int64(), empty: () => 0, add: (s) => s, read: (s) => s })() },
    });
    expect(ofCustom.features[0]!.aggregation.custom!.definedAt).toMatchObject({ line: line + 4 });
    expect(ofCustom.definedAt).toMatchObject({ line: line + 2 });
  });
});

describe("definitions that contradict themselves", () => {
  // Written past the compiler, as JavaScript would.
  const untyped = { view, stream, entity, service, batch, onDemand, custom } as unknown as Record<
    string,
    (name: string, ...rest: unknown[]) => unknown
  >;
  const viewWith =
    (parts: object): (() => unknown) =>
    () =>
      untyped["view"]!("v", { ...base, features: { a: count() }, ...parts });
  const streamWith =
    (parts: object): (() => unknown) =>
    () =>
      untyped["stream"]!("s", { columns: { a: t.string(), at: t.timestamp() }, eventTime: "at", ...parts });
  const anyMean = mean("delay") as unknown as Record<string, (value: unknown) => object>;

  it.each<[string, () => unknown, RegExp]>([
    [
      "a column that is not there",
      viewWith({ features: { a: mean("dely") } }),
      /feature "a": mean: there is no column "dely"; did you mean "delay"\?/,
    ],
    [
      "a predicate over such a column",
      viewWith({ features: { a: count().where(col("lat").eq(true)) } }),
      /where: there is no column "lat"; did you mean "late"/,
    ],
    [
      "a predicate that is no bool",
      viewWith({ features: { a: count().where(col("delay")) } }),
      /a predicate is a bool, this is int64/,
    ],
    [
      "a comparison of two types",
      viewWith({ features: { a: count().where(col("origin").gt(1)) } }),
      /gt cannot take string together with int64/,
    ],
    [
      "a sum over a string",
      viewWith({ features: { a: sum("origin") } }),
      /sum needs a number, column "origin" is string/,
    ],
    ["a window that is none", viewWith({ features: { a: anyMean["over"]!("1hr") } }), /"1hr" is not a duration/],
    ["a window of no events", viewWith({ features: { a: count().over({ last: 0 }) } }), /last 0 is not a whole number/],
    [
      "a default of another type",
      viewWith({ features: { a: anyMean["default"]!("none") } }),
      /default: "none" is not of type float64/,
    ],
    [
      "a fraction as the default of a count",
      viewWith({ features: { a: count().default(1.5) } }),
      /default: 1\.5 is not of type int64/,
    ],
    [
      "a key column that is not there",
      viewWith({ key: { airport: "orgin" } }),
      /key column "airport": there is no column "orgin"; did you mean "origin"/,
    ],
    [
      "a key column of another type",
      viewWith({ key: { airport: "delay" } }),
      /key column "airport" is string, column "delay" is int64/,
    ],
    ["a key of another entity", viewWith({ key: { port: "origin", airport: "origin" } }), /no key column "port"/],
    ["no key where none has its name", viewWith({ key: undefined }), /there is no column "airport"/],
    ["no features", viewWith({ features: {} }), /it has no features/],
    ["a version that is none", viewWith({ version: 0 }), /version 0 is neither/],
    ["a ttl that is none", viewWith({ ttl: "soon" }), /ttl: "soon" is not a duration/],
    ["a freshness that is none", viewWith({ freshness: "fast" }), /freshness: "fast" is not a duration/],
    ["a schedule over a stream", viewWith({ schedule: "0 0 * * *" }), /over a stream has no schedule/],
    ["a name that is none", () => untyped["entity"]!("a b", { a: t.string() }), /"a b" is not a name/],
    [
      "a nullable key",
      () => untyped["entity"]!("e", { a: t.string().nullable() }),
      /key column "a" cannot be nullable/,
    ],
    ["a key of floats", () => untyped["entity"]!("e", { a: t.float64() }), /cannot be of type float64/],
    ["an entity without a key", () => untyped["entity"]!("e", {}), /it has no key column/],
    ["an event time that is not there", streamWith({ eventTime: "time" }), /eventTime: there is no column "time"/],
    ["an event time that is text", streamWith({ eventTime: "a" }), /eventTime: column "a" is string, not a timestamp/],
    ["an id that is not there", streamWith({ id: "b" }), /id: there is no column "b"/],
    [
      "a derived column of nothing",
      streamWith({ derive: { b: lit(null) } }),
      /derived column "b": it is null in every row/,
    ],
    [
      "a derived column of a later one",
      streamWith({ derive: { b: col("c"), c: col("a") } }),
      /derived column "b": there is no column "c"/,
    ],
    ["two columns of one name", streamWith({ derive: { a: col("a").lower() } }), /there are two columns "a"/],
    [
      "a constraint that is no bool",
      streamWith({ require: { b: col("a").lower() } }),
      /constraint "b": a predicate is a bool, this is string/,
    ],
    [
      "a schedule of four fields",
      () =>
        untyped["batch"]!("b", {
          columns: { at: t.timestamp() },
          eventTime: "at",
          format: "csv",
          location: "a",
          schedule: "0 0 * *",
        }),
      /five fields/,
    ],
    [
      "a schedule out of range",
      () =>
        untyped["batch"]!("b", {
          columns: { at: t.timestamp() },
          eventTime: "at",
          format: "csv",
          location: "a",
          schedule: "61 0 * * *",
        }),
      /"61" is not a minute/,
    ],
    [
      "a custom without functions",
      () => untyped["custom"]!("c", { output: t.int64(), empty: () => 0, read: 1 }),
      /add is not a function; .*read is not a function/,
    ],
    [
      "a window without a merge",
      viewWith({
        features: {
          a: (
            custom("c", { output: t.int64(), empty: () => 0, add: (s) => s, read: (s) => s })() as unknown as Record<
              string,
              (w: string) => object
            >
          )["over"]!("1h"),
        },
      }),
      /has no merge, which windows need/,
    ],
    [
      "the same feature twice in a service",
      () =>
        untyped["service"]!("s", {
          features: [
            view("v", { ...base, features: { a: count() } }),
            view("w", { ...base, features: { a: count() } }),
          ],
        }),
      /feature "a" is in it twice, from v@1 and w@1: use/,
    ],
    ["no event time", streamWith({ eventTime: undefined }), /eventTime is missing: name the column/],
    [
      "a number for a window",
      () => viewWith({ features: { a: (count() as unknown as { over(w: unknown): unknown }).over(3600) } })(),
      /feature "a": 3600 is not a window: write a duration/,
    ],
    [
      "a view's name for its features",
      () => untyped["service"]!("s", { features: ["v"] }),
      /features are chosen from views, not by name/,
    ],
    [
      "two inputs of one name",
      () =>
        untyped["onDemand"]!("o", {
          inputs: [view("v", { ...base, features: { a: count() } })],
          request: { a: t.int64() },
          outputs: { b: t.int64() },
          compute: () => ({}),
        }),
      /two inputs are named "a"/,
    ],
  ])("refuses %s", (_, define, message) => {
    const error = refusal(define);
    expect(error.code).toBe("DEFINITION_INVALID");
    expect(error.message).toMatch(message);
    expect(error.where).toMatch(/definitions\.test\.ts:\d+$/);
  });

  it("names every problem of a definition at once", () => {
    const error = refusal(
      viewWith({ ttl: "x", version: -1, features: { a: mean("dely"), b: sum("origin"), c: count() } }),
    );
    for (const part of [/ttl/, /version/, /"a": mean/, /"b": sum/]) expect(error.message).toMatch(part);
  });

  it("refuses a feature that a view does not have, with the nearest", () => {
    const delays = view("delays", { ...base, features: { mean_delay_1h: mean("delay").over("1h") } });
    const error = refusal(() => (delays.pick as (name: string) => unknown)("mean_delay_2h"));
    expect(error.code).toBe("DEFINITION_INVALID");
    expect(error.candidates).toEqual(["mean_delay_1h"]);
  });
});

describe("expressions as data", () => {
  it("writes every operation", () => {
    const a = { op: "column", name: "a" };
    const one = { op: "literal", value: 1 };
    const x = col("a");
    const written = {
      ne: x.ne(1),
      lt: x.lt(1),
      lte: x.lte(1),
      subtract: x.subtract(1),
      multiply: x.multiply(1),
      divide: x.divide(1),
    };
    for (const [op, { expression }] of Object.entries(written)) expect(expression).toEqual({ op, left: a, right: one });
    const unary = {
      isNull: x.isNull(),
      abs: x.abs(),
      negate: x.negate(),
      lower: x.lower(),
      length: x.length(),
      hour: x.hour(),
      dayOfWeek: x.dayOfWeek(),
    };
    for (const [op, { expression }] of Object.entries(unary)) expect(expression).toEqual({ op, input: a });
    expect(x.eq(1).not().or(col("b")).expression).toEqual({
      op: "or",
      left: { op: "not", input: { op: "eq", left: a, right: one } },
      right: { op: "column", name: "b" },
    });
    expect(x.coalesce(col("b"), 1).expression).toEqual({
      op: "coalesce",
      inputs: [a, { op: "column", name: "b" }, one],
    });
    expect(when(x.gt(1), x, null).expression).toEqual({
      op: "when",
      condition: { op: "gt", left: a, right: one },
      // oxlint-disable-next-line unicorn/no-thenable -- never a function
      then: a,
      otherwise: { op: "literal", value: null },
    });
    expect(x.gt(new Date(1)).expression).toEqual({ op: "gt", left: a, right: { op: "literal", value: 1000 } });
    expect(x.in(["p", "q"]).expression).toEqual({ op: "in", input: a, values: ["p", "q"] });
    expect(Object.is((lit(-0).expression as { value: number }).value, 0)).toBe(true);
  });
});
