import { count, entity, service, stream, sum, t, view } from "../../src/index.ts";

const user = entity("user", { user_id: t.string() });
const payments = stream("payments", {
  columns: { user_id: t.string(), paid_at: t.timestamp(), amount: t.float64() },
  eventTime: "paid_at",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: { payments_1h: count().over("1h"), amount_24h: sum("amount").over("24h").default(0) },
});
export const fraud = service("fraud", { features: [spending] });
