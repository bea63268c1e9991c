/**
 * What the compiler accepts, refuses and infers in transformations. Nothing here runs: `tsc` reading it
 * without an error is the test.
 */
import {
  bucketize,
  clip,
  count,
  cross,
  customTransformation,
  entity,
  hashBucket,
  impute,
  last,
  lastK,
  log1p,
  max,
  mean,
  type Micros,
  min,
  minMax,
  oneHot,
  ordinal,
  quantileBins,
  service,
  standardize,
  stream,
  t,
  type Vector,
  view,
} from "../../src/index.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Equal<A, B>): void {}

const airport = entity("airport", { airport: t.string() });
const arrivals = stream("arrivals", {
  columns: {
    airport: t.string(),
    carrier: t.string(),
    at: t.timestamp(),
    delay: t.int64().nullable(),
    cancelled: t.bool(),
  },
  eventTime: "at",
});
const delays = view("delays", {
  entity: airport,
  source: arrivals,
  features: {
    flights: count(),
    mean_delay: mean("delay"),
    worst: max("delay"),
    carrier: last("carrier"),
    home: last("carrier").default("none"),
    cancelled: last("cancelled"),
    first_at: min("at"),
    recent: lastK("delay", 3),
  },
});
const chosen = delays.pick("flights", "mean_delay", "carrier", "home", "cancelled", "first_at", "recent");

const halved = customTransformation("halved", {
  output: t.string(),
  fit: (values: readonly number[]) => ({ most: Math.max(...values) }),
  apply: (value: number, fitted) => (value > fitted.most / 2 ? "high" : "low"),
});
const named = customTransformation("named", { output: t.int64(), apply: (value: string) => value.length });

const model = service("model", {
  features: [chosen],
  transform: {
    mean_delay: standardize(log1p(impute("mean_delay", "median"))),
    flights: clip("flights", { high: 100 }),
    carrier_slots: oneHot("carrier", { max: 50 }),
    home_slots: oneHot("home", { categories: ["AA", "DL"] }),
    home_or_null: oneHot("home", { unseen: "null" }),
    home_number: ordinal("home"),
    lane: cross(["carrier", "home"], { buckets: 1000 }),
    bins: quantileBins("flights", { bins: 10 }),
    steps: bucketize("mean_delay", [0, 15, 60]),
    filled: impute("carrier", { value: "none" }),
    usual: impute("carrier", "mostFrequent"),
    scaled: minMax(impute("mean_delay", "mean"), { low: -1 }),
    bucket: hashBucket(impute("carrier", "mostFrequent"), { buckets: 64 }),
    by_bin: cross([quantileBins("flights", { bins: 4 }), ordinal("home")], { buckets: 100 }),
    level: halved("mean_delay"),
    length: named("carrier"),
  },
  omit: ["carrier"],
});
same<
  Vector<typeof model>,
  {
    readonly flights: number;
    readonly mean_delay: number | null;
    readonly home: string;
    readonly cancelled: boolean | null;
    readonly first_at: Micros | null;
    readonly recent: readonly (number | null)[] | null;
    readonly carrier_slots: readonly (number | null)[] | null;
    readonly home_slots: readonly (number | null)[];
    readonly home_or_null: readonly (number | null)[] | null;
    readonly home_number: number;
    readonly lane: number | null;
    readonly bins: number;
    readonly steps: number | null;
    readonly filled: string;
    readonly usual: string;
    readonly scaled: number | null;
    readonly bucket: number;
    readonly by_bin: number;
    readonly level: string | null;
    readonly length: number | null;
  }
>(true);

/** Without any, a vector is what it was. */
const plain = service("plain", { features: [delays.pick("flights")] });
same<Vector<typeof plain>, { readonly flights: number }>(true);

// @ts-expect-error there is no such feature
service("wrong", { features: [chosen], transform: { a: standardize("mean_dely") } });
// @ts-expect-error a string has no mean
service("wrong", { features: [chosen], transform: { a: standardize("carrier") } });
// @ts-expect-error a timestamp is no number here
service("wrong", { features: [chosen], transform: { a: minMax("first_at") } });
// @ts-expect-error a list has no mean
service("wrong", { features: [chosen], transform: { a: standardize(oneHot("carrier")) } });
// @ts-expect-error a list is no category
service("wrong", { features: [chosen], transform: { a: oneHot("recent") } });
// @ts-expect-error a bool is no number
service("wrong", { features: [chosen], transform: { a: clip("cancelled", { low: 0 }) } });
// @ts-expect-error one of the two is not there
service("wrong", { features: [chosen], transform: { a: cross(["carrier", "hme"], { buckets: 10 }) } });
// @ts-expect-error a string is not imputed by a number
service("wrong", { features: [chosen], transform: { a: impute("carrier", { value: 0 }) } });
// @ts-expect-error it is of numbers
service("wrong", { features: [chosen], transform: { a: halved("carrier") } });
// @ts-expect-error it is of strings
service("wrong", { features: [chosen], transform: { a: named(log1p("flights")) } });
// @ts-expect-error a name alone transforms nothing
service("wrong", { features: [chosen], transform: { a: "carrier" } });
// @ts-expect-error there is no such feature to leave out
service("wrong", { features: [chosen], transform: { a: oneHot("carrier") }, omit: ["carier"] });
// @ts-expect-error an ordinal has no zeros
ordinal("carrier", { unseen: "zeros" });
// @ts-expect-error listed categories leave nothing to choose
oneHot("carrier", { categories: ["AA"], max: 3 });
// @ts-expect-error a clip has a bound
clip("flights", {});
