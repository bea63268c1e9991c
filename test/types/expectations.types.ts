/**
 * What the compiler accepts and refuses in expectations. Nothing here runs: each `@ts-expect-error` fails the build
 * when its line compiles after all.
 */
import { batch, col, count, entity, expectation, last, mean, stream, t, topK, view } from "../../src/index.ts";

const airport = entity("airport", { airport: t.string() });
const columns = {
  flight: t.string(),
  airport: t.string(),
  arrived_at: t.timestamp(),
  delay: t.int64().nullable(),
  distance: t.float64(),
  cancelled: t.bool(),
  codes: t.array(t.string()),
};

export const arrivals = stream("arrivals", {
  columns,
  eventTime: "arrived_at",
  derive: { late: col("delay").gt(15) },
  expect: [
    expectation("delay", { nullRate: { max: 0.01 } }),
    expectation("delay", { range: { min: -90, max: 1440 }, severity: "quarantine" }),
    expectation("arrived_at", { range: { min: new Date("1990-01-01") }, severity: "block" }),
    expectation("airport", { oneOf: ["JFK", "SFO"], tolerate: 0.01, over: "15m" }),
    expectation("late", { oneOf: [true, false] }),
    expectation("airport", { pattern: "^[A-Z]{3}$", severity: "quarantine" }),
    expectation("flight", { unique: true, over: "1d" }),
    expectation("arrived_at", { monotone: "increasing", per: "airport" }),
    expectation("codes", { nullRate: { max: 0 } }),
    expectation({ arrivalRate: { min: 1, per: "15m" } }),
  ],
});
export const files = batch("files", {
  columns,
  format: "csv",
  location: "*.csv",
  eventTime: "arrived_at",
  expect: [expectation("distance", { range: { min: 0 }, severity: "block" })],
});
export const delays = view("delays", {
  entity: airport,
  source: arrivals,
  features: {
    flights: count(),
    mean_delay: mean("delay").over("1h"),
    last_flight: last("flight"),
    top: topK("flight", 2),
  },
  expect: [
    expectation("flights", { range: { min: 0 } }),
    expectation("mean_delay", { nullRate: { max: 0.5 }, over: "1d" }),
    expectation("last_flight", { pattern: "^[A-Z]" }),
  ],
});

const of = { columns, eventTime: "arrived_at" } as const;
// @ts-expect-error -- there is no such column
void stream("s", { ...of, expect: [expectation("dely", { nullRate: { max: 0 } })] });
// @ts-expect-error -- a text has no range
void stream("s", { ...of, expect: [expectation("flight", { range: { min: 1 } })] });
// @ts-expect-error -- a number is no time
void stream("s", { ...of, expect: [expectation("delay", { range: { min: new Date() } })] });
// @ts-expect-error -- nor is a time a number
void stream("s", { ...of, expect: [expectation("arrived_at", { range: { min: 5 } })] });
// @ts-expect-error -- values of another kind
void stream("s", { ...of, expect: [expectation("flight", { oneOf: [1, 2] })] });
// @ts-expect-error -- a pattern is for texts
void stream("s", { ...of, expect: [expectation("delay", { pattern: "a" })] });
// @ts-expect-error -- no such column to go by
void stream("s", { ...of, expect: [expectation("delay", { monotone: "increasing", per: "airprt" })] });
// @ts-expect-error -- what is of many values refuses no row
void expectation("delay", { nullRate: { max: 0.1 }, severity: "quarantine" });
// @ts-expect-error -- what refuses a row tolerates none
void expectation("delay", { range: { min: 0 }, severity: "block", tolerate: 0.1 });
// @ts-expect-error -- it says nothing
void expectation("delay", { severity: "warn" });

const by = { entity: airport, source: arrivals, features: { flights: count(), last_flight: last("flight") } } as const;
// @ts-expect-error -- there is no such feature
void view("v", { ...by, expect: [expectation("delay", { range: { min: 0 } })] });
// @ts-expect-error -- a text has no range
void view("v", { ...by, expect: [expectation("last_flight", { range: { min: 0 } })] });
// @ts-expect-error -- features are judged behind the fold
void view("v", { ...by, expect: [expectation("flights", { range: { min: 0 }, severity: "quarantine" })] });
// @ts-expect-error -- features have no order of arrival
void view("v", { ...by, expect: [expectation({ arrivalRate: { min: 1, per: "1h" } })] });
// @ts-expect-error -- nor are two of them an event twice
void view("v", { ...by, expect: [expectation("flights", { unique: true })] });
