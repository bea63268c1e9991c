/**
 * Card payments, and what a fraud model wants to know of the card's owner at the moment of a payment.
 *
 * `onefold init` copies this file. Change it, look at the difference with `onefold plan`, apply it with
 * `onefold apply`: a view that changes its meaning needs the next version.
 */
import { col, count, entity, last, max, mean, service, stream, sum, t, view } from "onefold";

export const user = entity("user", { user_id: t.string() }, { description: "someone who pays" });

export const payments = stream("payments", {
  description: "one row a payment, as the till sends it",
  columns: {
    payment_id: t.string(),
    user_id: t.string(),
    paid_at: t.timestamp(),
    amount: t.float64(),
    country: t.string().nullable(),
  },
  eventTime: "paid_at",
  id: "payment_id",
  require: { amount_is_positive: col("amount").gt(0) },
});

export const spending = view("spending", {
  version: 1,
  entity: user,
  source: payments,
  owner: "risk",
  tags: ["fraud"],
  features: {
    payments_1h: count().over("1h").describe("payments in the hour before now"),
    amount_24h: sum("amount").over("24h").default(0),
    mean_amount_7d: mean("amount").over("7d"),
    large_payments_7d: count().where(col("amount").gt(200)).over("7d"),
    largest_of_last_10: max("amount").over({ last: 10 }),
    last_country: last("country"),
  },
});

export const fraud = service("fraud", {
  description: "what the fraud model reads",
  features: [spending],
});
