/** What the client's types let through and what they refuse: compiled, never run. */
import { createClient, type EntitiesOf, type VectorArguments } from "../../src/client/index.ts";
import type { ServiceNameOf } from "../../src/client/answered.ts";
import type { ServiceDefinition } from "../../src/define/definition.ts";
import { count, entity, experiment, last, mean, onDemand, service, stream, t, view } from "../../src/index.ts";

const user = entity("user", { user_id: t.string() });
const payments = stream("payments", {
  columns: {
    id: t.string(),
    user_id: t.string(),
    paid_at: t.timestamp(),
    amount: t.float64().nullable(),
    raw: t.bytes(),
  },
  eventTime: "paid_at",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: { n: count(), mean_1h: mean("amount").over("1h"), last_at: last("paid_at"), last_raw: last("raw") },
});
const ratio = onDemand("ratio", {
  inputs: [spending.pick("mean_1h")],
  request: { amount: t.float64() },
  outputs: { to_mean: t.float64() },
  compute: ({ mean_1h, amount }) => ({ to_mean: mean_1h === null ? null : amount / mean_1h }),
});
const fraud = service("fraud", { features: [spending, ratio] });
const visits = view("visits", {
  entity: entity("shop", { shop_id: t.string() }),
  source: stream("entries", {
    columns: { shop_id: t.string(), at: t.timestamp() },
    eventTime: "at",
  }),
  features: { visits: count(), mean_1h: last("at") },
});
const noted = onDemand("noted", {
  inputs: [spending.pick("n")],
  request: { note: t.string().nullable() },
  outputs: { shown: t.string() },
  compute: ({ note }) => ({ shown: note }),
});
const notes = service("notes", { features: [noted] });
const meter = entity("meter", { meter_id: t.int64({ wide: true }) });
const readings = stream("readings", {
  columns: { meter_id: t.int64({ wide: true }), at: t.timestamp(), value: t.float64(), more: t.array(t.float64()) },
  eventTime: "at",
  allowNonFinite: true,
});
const metered = service("metered", {
  features: [view("meters", { entity: meter, source: readings, features: { last_value: last("value") } })],
});
const fraud2 = service("fraud", { version: 2, features: [spending.pick("n"), visits] });
const trial = experiment("trial", { service: [fraud, fraud2], weights: [9, 1], unit: { request: "session" } });
const plain: ServiceDefinition = fraud;
const byPlain = experiment("by_plain", { service: [fraud, plain], weights: [9, 1], unit: user });
const byText = experiment("by_text", { service: [fraud, "fraud@2"], weights: [9, 1], unit: user });

type Same<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

const client = createClient({ url: "http://127.0.0.1:8080" });
export async function calls(): Promise<void> {
  const { features } = await client.vector<typeof fraud>("fraud", { user_id: "ada" }, { request: { amount: 3 } });
  same<typeof features.n, number>(true);
  same<typeof features.mean_1h, number | null>(true);
  // as JSON carries them: a time is text, bytes are base64
  same<typeof features.last_at, string | null>(true);
  same<typeof features.last_raw, string | null>(true);
  same<typeof features.to_mean, number | null>(true);
  // @ts-expect-error there is no such feature
  void features.mean_2h;
  // @ts-expect-error the service is named "fraud"
  await client.vector<typeof fraud>("frod", { user_id: "ada" });
  // @ts-expect-error a key column is missing
  await client.vector<typeof fraud>("fraud", {});
  // @ts-expect-error the key is text
  await client.vector<typeof fraud>("fraud", { user_id: 3 });
  // @ts-expect-error the request data lacks "amount"
  await client.vector<typeof fraud>("fraud", { user_id: "ada" }, { request: {} });
  // @ts-expect-error the request data that may not be null is missing
  await client.vector<typeof fraud>("fraud", { user_id: "ada" });
  // @ts-expect-error the request data that may not be null is missing
  await client.vector<typeof fraud>("fraud", { user_id: "ada" }, { timeoutMs: 100 });
  // @ts-expect-error the request data that may not be null is missing
  await client.vectors<typeof fraud>("fraud", [{ user_id: "ada" }]);
  // @ts-expect-error what is not finite is refused in request data
  await client.vector<typeof fraud>("fraud", { user_id: "ada" }, { request: { amount: "NaN" } });
  // what may be null may be left out
  await client.vector<typeof notes>("notes", { user_id: "ada" });
  await client.vectors<typeof notes>("notes", [{ user_id: "ada" }], { metadata: true });
  await client.vector<typeof notes>("notes", { user_id: "ada" }, { request: { note: "x" } });
  // @ts-expect-error the service takes no such request data
  await client.vector<typeof notes>("notes", { user_id: "ada" }, { request: { noet: "x" } });
  // a wide int64 is any integer, as a key and in events; a float64 that is not finite is its number or its text
  for (const meter_id of [1, 2n ** 60n, "9223372036854775807"]) {
    const answered = await client.vector<typeof metered>("metered", { meter_id });
    same<typeof answered.features.last_value, number | null>(true);
    await client.push<typeof readings>("readings", [
      { meter_id, at: "2026-01-01T00:00:00Z", value: "NaN", more: ["-Infinity", 1, Number.NaN, null] },
    ]);
  }
  // @ts-expect-error of texts a float64 takes those three
  await client.push<typeof readings>("readings", [{ meter_id: 1, at: "2026-01-01T00:00:00Z", value: "1", more: [] }]);
  await client.push<typeof payments>("payments", [
    { id: "1", user_id: "ada", paid_at: "2026-01-01T00:00:00Z", raw: "AQI=" },
  ]);
  // @ts-expect-error a column is missing
  await client.push<typeof payments>("payments", [{ id: "1", user_id: "ada", raw: "AQI=" }]);
  // an experiment's answer is of any of its versions, and a request has what all of them read
  const tried = await client.vector<typeof trial>(
    "trial",
    { user_id: "ada", shop_id: "s1" },
    { request: { amount: 3, session: "x" } },
  );
  same<typeof tried.features.n, number>(true);
  same<typeof tried.features.mean_1h, number | string | null>(true);
  same<typeof tried.features.visits, number | undefined>(true);
  same<typeof tried.features.last_raw, string | null | undefined>(true);
  same<typeof tried.metadata.variant, string | undefined>(true);
  // @ts-expect-error no version has it
  void tried.features.mean_2h;
  // @ts-expect-error the key of the second version is missing
  await client.vector<typeof trial>("trial", { user_id: "ada" }, { request: { amount: 3, session: "x" } });
  // @ts-expect-error the unit is missing
  await client.vector<typeof trial>("trial", { user_id: "ada", shop_id: "s1" }, { request: { amount: 3 } });
  // @ts-expect-error an experiment has no versions
  await client.vector<typeof trial>("trial@2", { user_id: "ada", shop_id: "s1" });
  const texts = await client.vector<typeof byText>("by_text", { whatever: 1 });
  same<(typeof texts.features)[string], unknown>(true);
  // nor is anything of a version whose definition has no types
  const plains = await client.vector<typeof byPlain>("by_plain", { whatever: 1 });
  same<(typeof plains.features)[string], unknown>(true);
  // what is generic passes its own options on
  async function nth<S>(of: ServiceNameOf<S>, keys: EntitiesOf<S>, ...options: VectorArguments<S>) {
    return (await client.vector<S>(of, keys, ...options)).features;
  }
  await nth<typeof fraud>("fraud", { user_id: "ada" }, { request: { amount: 3 } });
  // without types nothing is known, and anything goes
  const untyped = await client.vector("anything", { whatever: 1 }, { request: { x: 1 } });
  same<(typeof untyped.features)[string], unknown>(true);
}
