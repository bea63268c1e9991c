/**
 * Card fraud: one stream of payments feeds four kinds of entity, and one service reads them all.
 *
 * A payment says something of the user who pays, of the merchant, of the device, and of this user at this
 * merchant. Each is a view of its own over the same stream; a vector is read with one key for all four.
 */
import {
  count,
  countDistinct,
  countSessions,
  entity,
  last,
  mean,
  sequence,
  service,
  stddev,
  stream,
  sum,
  t,
  timeSinceLast,
  view,
} from "onefold";
import { travelSpeed } from "./travel-speed.ts";

export const user = entity("user", { user_id: t.string() }, { description: "Who pays" });
export const merchant = entity("merchant", { merchant_id: t.string() }, { description: "Who is paid" });
export const device = entity("device", { device_id: t.string() }, { description: "What it was paid with" });
export const userMerchant = entity(
  "user_merchant",
  { user_id: t.string(), merchant_id: t.string() },
  { description: "This user at this merchant" },
);

export const payments = stream("payments", {
  description: "One row a payment; some come hours late",
  columns: {
    payment_id: t.string(),
    user_id: t.string(),
    merchant_id: t.string(),
    device_id: t.string(),
    paid_at: t.timestamp(),
    amount: t.float64(),
    lat: t.float64().nullable().describe("Degrees north; null where the till does not say"),
    lon: t.float64().nullable().describe("Degrees east"),
  },
  eventTime: "paid_at",
  id: "payment_id",
});

export const userPayments = view("user_payments", {
  description: "What the user did lately: by the hour, in this session, in a row, and across the map",
  entity: user,
  source: payments,
  features: {
    user_payments_1h: count().over("1h"),
    user_amount_24h: sum("amount").over("24h").default(0),
    session_payments: count().over({ session: "30m" }).describe("payments since the user was last away for 30 minutes"),
    session_amount: sum("amount").over({ session: "30m" }).default(0),
    session_merchants: countDistinct("merchant_id").over({ session: "30m" }),
    user_sessions_7d: countSessions({ gap: "30m" }).over("7d"),
    recent: sequence(["merchant_id", "amount"], { length: 10 }),
    speed_kmh: travelSpeed().over({ last: 2 }).describe("between the last two payments"),
    fastest_kmh: travelSpeed().over({ last: 20 }).describe("between any two that follow each other"),
  },
});

export const merchantPayments = view("merchant_payments", {
  description: "What is usual at the merchant",
  entity: merchant,
  source: payments,
  features: {
    merchant_payments_1h: count().over("1h"),
    merchant_users_24h: countDistinct("user_id").over("24h"),
    merchant_mean_7d: mean("amount").over("7d"),
    merchant_stddev_7d: stddev("amount").over("7d"),
  },
});

export const devicePayments = view("device_payments", {
  description: "Whether a device serves more people than one",
  entity: device,
  source: payments,
  features: {
    device_users_24h: countDistinct("user_id").over("24h"),
    device_last_user: last("user_id"),
    device_idle_seconds: timeSinceLast(),
  },
});

export const userAtMerchant = view("user_at_merchant", {
  description: "How well these two know each other",
  entity: userMerchant,
  source: payments,
  features: {
    pair_payments: count(),
    pair_mean: mean("amount"),
    pair_seconds_since: timeSinceLast(),
  },
});

export const paymentFraud = service("payment_fraud", {
  description: "What the fraud model reads when a payment is asked for",
  features: [userPayments, merchantPayments, devicePayments, userAtMerchant],
});
