/**
 * What the compiler accepts and refuses in definitions. Nothing here runs: `tsc` reading it without an
 * error is the test. Each `@ts-expect-error` fails the build when its line compiles after all.
 */
import {
  batch,
  col,
  column,
  count,
  countDistinct,
  ewma,
  custom,
  entity,
  type EventOf,
  first,
  histogram,
  last,
  lastK,
  quantile,
  lit,
  max,
  mean,
  type Micros,
  min,
  onDemand,
  service,
  stddev,
  stream,
  sum,
  timeSinceLast,
  topK,
  t,
  type Vector,
  type VectorKeys,
  type VectorRequest,
  view,
  when,
} from "../../src/index.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Equal<A, B>): void {}
function accept<T>(_: T): void {}

const airport = entity("airport", { airport: t.string() }, { description: "IATA code" });
const route = entity("route", { origin: t.string(), destination: t.string() });
const account = entity("account", { account: t.int64({ wide: true }) });

const arrivals = stream("arrivals", {
  columns: {
    flight: t.string(),
    origin: t.string(),
    destination: t.string(),
    arrived_at: t.timestamp(),
    delay: t.int64().nullable(),
    distance: t.float64().describe("miles"),
    cancelled: t.bool(),
    codes: t.array(t.string()),
  },
  eventTime: "arrived_at",
  id: "flight",
  derive: {
    late: col("delay").gt(15),
    hours: col("distance").divide(500),
    very_late: col("late").and(col("delay").gt(60)),
    carrier: col("flight").lower(),
  },
  require: { plausible_delay: col("delay").gte(-90).or(col("delay").isNull()) },
  maxFuture: "1m",
});

const originDelays = view("origin_delays", {
  version: 1,
  entity: airport,
  source: arrivals,
  key: { airport: "origin" },
  freshness: "real-time",
  online: true,
  offline: true,
  owner: "ops",
  tags: ["flights"],
  features: {
    arrivals_1h: count().over("1h"),
    with_delay: count("delay"),
    mean_delay_1h: mean("delay").over("1h").describe("minutes").owner("ops").tags("delay"),
    late_24h: count().where(col("late").eq(true)).over("24h"),
    very_late_24h: count().where(col("very_late")).over("24h"),
    worst_delay_20: max("delay").over({ last: 20 }),
    spread: stddev("delay").default(0),
    hours_flown: sum("hours").over("7d").default(0),
    first_seen: min("arrived_at"),
    last_flight: last("flight").default("none"),
    last_codes: column("codes"),
    recent: count().over("1h").ttl("2h"),
    cancelled: first("cancelled"),
  },
});

const withTtl = view("with_ttl", {
  entity: airport,
  source: arrivals,
  key: { airport: "destination" },
  ttl: "30d",
  features: { dest_arrivals_1h: count().over("1h"), mean_delay_1h: mean("delay").over("1h") },
});

/** The key may be left out: the source has columns of these names. */
const routeDelays = view("route_delays", { entity: route, source: arrivals, features: { flights: count() } });

const delayModel = service("delay_model", {
  features: [originDelays, withTtl.pick("dest_arrivals_1h"), routeDelays.prefix("route_")],
});

type V = Vector<typeof delayModel>;
same<V["mean_delay_1h"], number | null>(true);
same<V["arrivals_1h"], number>(true);
same<V["worst_delay_20"], number | null>(true);
same<V["spread"], number>(true);
/** An int64 sum may overflow whatever its default. */
same<V["hours_flown"], number | null>(true);
same<V["first_seen"], Micros | null>(true);
same<V["last_flight"], string>(true);
same<V["last_codes"], readonly (string | null)[] | null>(true);
same<V["cancelled"], boolean | null>(true);
/** A TTL, the feature's own or its view's, can take any value away. */
same<V["recent"], number | null>(true);
same<V["dest_arrivals_1h"], number | null>(true);
same<V["route_flights"], number>(true);
same<keyof V & ("flights" | "dest_mean_delay_1h"), never>(true);
same<
  VectorKeys<typeof delayModel>,
  { readonly airport: string; readonly origin: string; readonly destination: string }
>(true);

type Arrival = EventOf<typeof arrivals>;
same<Arrival["delay"], number | bigint | null | undefined>(true);
accept<Arrival>({
  flight: "AA1",
  origin: "JFK",
  destination: "LAX",
  arrived_at: "2001-01-01T00:00:00Z",
  distance: 2475,
  cancelled: false,
  codes: ["a", null],
});
// @ts-expect-error a column is missing
accept<Arrival>({ flight: "AA1" });

const renamed = service("renamed", {
  features: [originDelays.pick("mean_delay_1h").rename({ mean_delay_1h: "delay" })],
});
same<Vector<typeof renamed>, { readonly delay: number | null }>(true);

const ratio = onDemand("ratio", {
  inputs: [originDelays.pick("mean_delay_1h")],
  request: { planned: t.float64(), note: t.string().nullable() },
  outputs: { delay_ratio: t.float64() },
  compute: (inputs, { asOf }) => {
    same<typeof inputs.mean_delay_1h, number | null>(true);
    same<typeof inputs.planned, number>(true);
    same<typeof inputs.note, string | null>(true);
    same<typeof asOf, Micros>(true);
    return { delay_ratio: inputs.mean_delay_1h === null ? null : inputs.mean_delay_1h / inputs.planned };
  },
});
const withRatio = service("with_ratio", { features: [ratio] });
same<Vector<typeof withRatio>, { readonly delay_ratio: number | null }>(true);
accept<VectorRequest<typeof withRatio>>({ planned: 3 });
accept<VectorRequest<typeof withRatio>>({ planned: 3, note: "late" });
// @ts-expect-error the request lacks "planned"
accept<VectorRequest<typeof withRatio>>({ note: "late" });
// @ts-expect-error "planned" is a number
accept<VectorRequest<typeof withRatio>>({ planned: "3" });

const onRatio = onDemand("on_ratio", {
  inputs: [ratio, originDelays.pick("mean_delay_1h")],
  request: { base: t.int64() },
  outputs: { at: t.timestamp(), drawn: t.float64() },
  compute: ({ delay_ratio, base }, { asOf, random }) => {
    same<typeof delay_ratio, number | null>(true);
    same<typeof base, number>(true);
    return { at: asOf, drawn: random() };
  },
});
const withBoth = service("with_both", { features: [onRatio, originDelays.pick("mean_delay_1h")] });
same<Vector<typeof withBoth>["at"], Micros | null>(true);
same<VectorKeys<typeof withBoth>, VectorKeys<typeof withRatio>>(true);
// what on-demand views behind others need is needed, too
accept<VectorRequest<typeof withBoth>>({ planned: 3, base: 1 });
// @ts-expect-error the request lacks "planned"
accept<VectorRequest<typeof withBoth>>({ base: 1 });

const streak = custom("streak", {
  output: t.int64(),
  empty: () => 0,
  add: (state, late: boolean) => (late ? state + 1 : 0),
  merge: (earlier, later) => earlier + later,
  read: (state) => state,
});
const unmerged = custom("unmerged", {
  output: t.string(),
  empty: () => "",
  add: (state, flight: string) => state + flight,
  read: (state) => state,
});
const withCustom = view("with_custom", {
  entity: airport,
  source: arrivals,
  key: { airport: "origin" },
  features: { streak: streak("late").over("1h"), all: unmerged("flight"), few: streak("late").over({ last: 3 }) },
});
same<
  Vector<ReturnType<typeof serveCustom>>,
  { readonly streak: number | null; readonly all: string | null; readonly few: number | null }
>(true);
function serveCustom() {
  return service("custom_service", { features: [withCustom] });
}

// Wrong columns --------------------------------------------------------------------------------------

const base = { entity: airport, source: arrivals, key: { airport: "origin" } } as const;

// @ts-expect-error there is no column "dely"
view("wrong", { ...base, features: { a: mean("dely") } });
// @ts-expect-error a predicate names a column that is not there
view("wrong", { ...base, features: { a: count().where(col("lat").eq(true)) } });
// @ts-expect-error count of a column that is not there
view("wrong", { ...base, features: { a: count("dely") } });
// @ts-expect-error a plain column that is not there
view("wrong", { ...base, features: { a: column("dely") } });

// Wrong types ----------------------------------------------------------------------------------------

// @ts-expect-error sum over a string
view("wrong", { ...base, features: { a: sum("origin") } });
// @ts-expect-error mean over a string
view("wrong", { ...base, features: { a: mean("origin").over("1h") } });
// @ts-expect-error mean over a bool
view("wrong", { ...base, features: { a: mean("late") } });
// @ts-expect-error mean over a timestamp
view("wrong", { ...base, features: { a: mean("arrived_at") } });
// @ts-expect-error min over a string
view("wrong", { ...base, features: { a: min("origin") } });
// @ts-expect-error a string column compared with a number
view("wrong", { ...base, features: { a: count().where(col("origin").gt(15)) } });
// @ts-expect-error a predicate that is a number
view("wrong", { ...base, features: { a: count().where(col("delay").add(1)) } });
// @ts-expect-error a predicate that is a string column
view("wrong", { ...base, features: { a: count().where(col("origin")) } });
// @ts-expect-error the hour of a string
view("wrong", { ...base, features: { a: count().where(col("origin").hour().eq(1)) } });
// @ts-expect-error one of numbers, of a string column
view("wrong", { ...base, features: { a: count().where(col("origin").in([1, 2])) } });
// @ts-expect-error a custom aggregation of bools over a string
view("wrong", { ...base, features: { a: streak("origin") } });
// @ts-expect-error numbers are not ordered against text
col("delay").add(1).gt("x");
// @ts-expect-error truth values are not ordered
col("delay").gt(1).lt(true);

// Wrong defaults -------------------------------------------------------------------------------------

// @ts-expect-error text as the default of a mean
mean("delay").default("none");
// @ts-expect-error a number as the default of a string column
view("wrong", { ...base, features: { a: last("flight").default(0) } });

// Wrong windows --------------------------------------------------------------------------------------

// @ts-expect-error no such unit
mean("delay").over("1x");
// @ts-expect-error no such unit
mean("delay").over("1hr");
// @ts-expect-error no unit
mean("delay").over("60");
// @ts-expect-error no number
mean("delay").over("h");
// @ts-expect-error not a whole number
mean("delay").over("1.5h");
// @ts-expect-error not a window
mean("delay").over({ first: 20 });
// @ts-expect-error a window needs a merge
unmerged("flight").over("1h");
// @ts-expect-error a window needs a merge
unmerged("flight").over({ last: 3 });
// @ts-expect-error not a duration
mean("delay").ttl("soon");
// @ts-expect-error neither a class nor a duration
mean("delay").freshness("fast");
// @ts-expect-error not a duration
view("wrong", { ...base, ttl: "30 days", features: { a: count() } });

// Wrong keys -----------------------------------------------------------------------------------------

// @ts-expect-error there is no such column
view("wrong", { ...base, key: { airport: "orgin" }, features: { a: count() } });
// @ts-expect-error the column is of another type
view("wrong", { ...base, key: { airport: "delay" }, features: { a: count() } });
// @ts-expect-error the source has no column "airport", so the key must be given
view("wrong", { entity: airport, source: arrivals, features: { a: count() } });
// @ts-expect-error no column of the source is a wide int64
view("wrong", { entity: account, source: arrivals, key: { account: "flight" }, features: { a: count() } });

// Wrong sources --------------------------------------------------------------------------------------

// @ts-expect-error the event time is not a timestamp
stream("wrong", { columns: { a: t.string(), at: t.timestamp() }, eventTime: "a" });
// @ts-expect-error the event time is not there
stream("wrong", { columns: { a: t.string(), at: t.timestamp() }, eventTime: "time" });
stream("wrong", {
  columns: { a: t.string(), at: t.timestamp() },
  eventTime: "at",
  // @ts-expect-error the id is not there
  id: "b",
});
stream("wrong", {
  columns: { a: t.string(), at: t.timestamp() },
  eventTime: "at",
  // @ts-expect-error derived from a column that is not there
  derive: { b: col("c").gt(1) },
});
stream("wrong", {
  columns: { a: t.string(), at: t.timestamp() },
  eventTime: "at",
  // @ts-expect-error a constraint that compares text with a number
  require: { b: col("a").gt(1) },
});
stream("wrong", {
  columns: { a: t.string(), at: t.timestamp() },
  eventTime: "at",
  // @ts-expect-error a constraint that is no predicate
  require: { b: col("a").lower() },
});
// @ts-expect-error no such format
batch("wrong", { columns: { a: t.string(), at: t.timestamp() }, eventTime: "at", format: "xls", location: "a" });

// Wrong services -------------------------------------------------------------------------------------

// @ts-expect-error there is no such feature
originDelays.pick("mean_delay_2h");
// @ts-expect-error the same name twice
service("wrong", { features: [originDelays, withTtl] });
// @ts-expect-error an entity has no features
service("wrong", { features: [airport] });
// @ts-expect-error the vector has no such feature
accept<V["mean_delay_2h"] | null>(null);
onDemand("wrong", {
  inputs: [originDelays.pick("mean_delay_1h")],
  outputs: { a: t.float64() },
  // @ts-expect-error the output is a number
  compute: () => ({ a: "b" }),
});

// Right, and easily broken -----------------------------------------------------------------------------

view("right", {
  ...base,
  version: "dev",
  features: {
    a: count().where(when(col("late"), col("delay"), lit(0)).gt(15)),
    b: count().where(col("delay").coalesce(0).abs().add(col("distance")).lte(100)),
    c: count().where(
      col("arrived_at")
        .gt(new Date(0))
        .and(col("origin").ne(col("destination"))),
    ),
    d: count().where(col("origin").in(["JFK", "LAX"]).not().or(col("late"))),
    e: mean("delay")
      .over("90s")
      .where(col("arrived_at").dayOfWeek().in([6, 7])),
    f: count().where(col("arrived_at").subtract(col("arrived_at")).lt(1)),
    g: count().where(col("codes").length().gt(1)),
  },
});
batch("weather", {
  columns: { airport: t.string(), at: t.timestamp(), wind: t.float64().nullable() },
  eventTime: "at",
  format: "csv",
  location: "weather/*.csv",
  schedule: "0 3 * * *",
});

// summaries: lists of a column's type, and values that may be null only where they can be

const summaries = view("summaries", {
  entity: airport,
  source: arrivals,
  key: { airport: "origin" },
  features: {
    last_delays: lastK("delay", 5),
    last_flights: lastK("flight", 5).over("1h"),
    top_origins: topK("destination", 3),
    destinations: countDistinct("destination"),
    by_destination: histogram("destination", { categories: ["JFK", "LAX"] }),
    median_delay: quantile("delay", 0.5),
    smooth_delay: ewma("delay", { halfLife: "1h" }),
    idle: timeSinceLast(),
    late: count()
      .where(col("late"))
      .by("destination", { groups: ["JFK", "LAX"] }),
    miles: sum("distance").by("destination", { groups: { new_york: "JFK" } }),
  },
});
const summaryService = service("summaries", { features: [summaries] });
same<
  Vector<typeof summaryService>,
  {
    readonly last_delays: readonly (number | null)[] | null;
    readonly last_flights: readonly (string | null)[] | null;
    readonly top_origins: readonly (string | null)[] | null;
    readonly destinations: number;
    readonly by_destination: readonly (number | null)[];
    readonly median_delay: number | null;
    readonly smooth_delay: number | null;
    readonly idle: number | null;
    readonly late_JFK: number;
    readonly late_LAX: number;
    readonly late_other: number;
    readonly miles_new_york: number | null;
    readonly miles_other: number | null;
  }
>(true);
const wrong = { entity: airport, source: arrivals, key: { airport: "origin" } } as const;
// @ts-expect-error a quantile needs a number
view("v", { ...wrong, features: { a: quantile("flight", 0.5) } });
// @ts-expect-error the source has no such column
view("v", { ...wrong, features: { a: lastK("flght", 2) } });
// @ts-expect-error the source has no such column
view("v", { ...wrong, features: { a: count().by("destnation", { groups: ["JFK"] }) } });
// @ts-expect-error not a duration
ewma("delay", { halfLife: "1hr" });
