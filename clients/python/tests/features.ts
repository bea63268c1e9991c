import { col, count, entity, experiment, last, lastK, mean, onDemand, service, stream, sum, t, view } from "onefold";

const shopper = entity("shopper", { shop: t.string(), account: t.int64({ wide: true }) });
const user = entity("user", { user_id: t.string() });

export const orders = stream("orders", {
  columns: {
    order_id: t.string(),
    user_id: t.string(),
    shop: t.string(),
    account: t.int64({ wide: true }),
    ordered_at: t.timestamp(),
    amount: t.float64(),
    items: t.int64().nullable(),
    is_gift: t.bool().nullable(),
    receipt: t.bytes().nullable(),
  },
  eventTime: "ordered_at",
  id: "order_id",
  require: { amount_is_positive: col("amount").gt(0) },
});

const userOrders = view("user_orders", {
  entity: user,
  source: orders,
  features: {
    orders: count(),
    orders_1h: count().over("1h"),
    amount: sum("amount"),
    mean_amount: mean("amount"),
    last_items: last("items"),
    last_gift: last("is_gift"),
    last_shop: last("shop"),
    last_receipt: last("receipt"),
    last_at: last("ordered_at"),
    last_account: last("account"),
    amounts: lastK("amount", 3),
    times: lastK("ordered_at", 2),
    counts: lastK("items", 2),
  },
});

const shopperOrders = view("shopper_orders", {
  entity: shopper,
  source: orders,
  features: { shopper_orders: count() },
});

const ratio = onDemand("ratio", {
  inputs: [userOrders.pick("mean_amount")],
  request: { price: t.float64() },
  outputs: { ratio: t.float64() },
  compute: ({ mean_amount, price }) => ({ ratio: mean_amount === null ? null : price / mean_amount }),
});

export const model = service("model", { features: [userOrders] });
export const pairs = service("pairs", { features: [shopperOrders] });
export const brief = service("brief", { features: [userOrders.pick("orders")] });
export const trial = experiment("trial", { service: [model, brief], weights: [50, 50], unit: user });
export const priced = service("priced", { features: [userOrders.pick("orders"), ratio] });
