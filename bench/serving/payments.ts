/**
 * What the serving benchmark serves: payments of accounts. `point_model` reads 10 windowed features (1 h, 24 h,
 * 7 d) of two views; `thirty` and `fifty` read 30 and 50 of ten views with windows of 1 to 30 days.
 *
 * History is a query of the batch engine, so that ten million events are there in seconds. An account's number of
 * events is log-normal with a median of 60, spread evenly over the longest window: about as many buckets.
 */
import { type Micros, micros, MICROS_PER_DAY } from "../../src/base/micros.ts";
import { col, count, entity, max, mean, service, stddev, stream, sum, t, view } from "../../src/index.ts";
import type { Definition } from "../../src/index.ts";

/** Median number of events of an account. */
export const EVENTS_MEDIAN = 60;
/** Of the logarithm: one account in ten has more than the 128 events that are never merged. */
const EVENTS_SPREAD = 0.6;

export const account = entity("account", { account: t.string() });
export const payments = stream("payments", {
  columns: { account: t.string(), at: t.timestamp(), amount: t.float64(), declined: t.bool() },
  eventTime: "at",
});

const declined = col("declined").eq(true);
const spending = view("spending", {
  entity: account,
  source: payments,
  features: {
    payments_1h: count().over("1h"),
    payments_24h: count().over("24h"),
    spent_24h: sum("amount").over("24h"),
    mean_7d: mean("amount").over("7d"),
    dearest_7d: max("amount").over("7d"),
  },
});
const declines = view("declines", {
  entity: account,
  source: payments,
  features: {
    declines_1h: count().where(declined).over("1h"),
    declines_24h: count().where(declined).over("24h"),
    declined_7d: sum("amount").where(declined).over("7d"),
    mean_24h: mean("amount").over("24h"),
    spread_7d: stddev("amount").over("7d"),
  },
});
export const pointModel = service("point_model", { features: [spending, declines] });
export const pointDefinitions: readonly Definition[] = [account, payments, spending, declines, pointModel];
export const POINT_DAYS = 7;

const WINDOWS = ["1d", "2d", "3d", "5d", "7d", "10d", "14d", "20d", "25d", "30d"] as const;
export const WIDE_DAYS = 30;
const wideViews = WINDOWS.map((window) =>
  view(`over_${window}`, {
    entity: account,
    source: payments,
    features: {
      payments: count().over(window),
      spent: sum("amount").over(window),
      usual: mean("amount").over(window),
      dearest: max("amount").over(window),
      declined: count().where(declined).over(window),
    },
  }),
);
/** Three features of each view. */
export const thirty = service("thirty", {
  features: wideViews.map((one) => one.pick("payments", "spent", "usual").prefix(`${one.name}_`)),
});
/** All five of each. */
export const fifty = service("fifty", { features: wideViews.map((one) => one.prefix(`${one.name}_`)) });
export const wideDefinitions: readonly Definition[] = [account, payments, ...wideViews, thirty, fifty];

/** Rows of `accounts` accounts over the days before `now`, in the order of (account, time). */
export function paymentHistorySql(accounts: number, days: number, now: Micros): string {
  const span = micros(days * MICROS_PER_DAY);
  const uniform = (salt: number): string => `((hash(id, ${salt}) % 1000003) + 0.5) / 1000003`;
  return `
    WITH accounts AS (
      SELECT id, sqrt(-2 * ln(${uniform(1)})) * cos(2 * pi() * ${uniform(2)}) AS deviation FROM range(${accounts}) r(id)
    ), numbered AS (
      SELECT id, unnest(range(greatest(1, round(${EVENTS_MEDIAN} * exp(${EVENTS_SPREAD} * deviation)))::BIGINT)) AS n
      FROM accounts
    )
    SELECT printf('a%012d', id) AS account, make_timestamptz(${now} - 1 - (hash(id, n, 3) % ${span})::BIGINT) AS "at",
      ((hash(id, n, 4) % 20000) + 1)::DOUBLE / 100 AS amount, hash(id, n, 5) % 10 = 0 AS declined
    FROM numbered ORDER BY id, "at", n`;
}
