/**
 * What the compiler accepts and refuses in sequences and session windows. Nothing here runs: `tsc` reading it
 * without an error is the test.
 */
import {
  col,
  count,
  countSessions,
  custom,
  entity,
  mean,
  type Micros,
  sequence,
  service,
  stream,
  t,
  type Vector,
  view,
} from "../../src/index.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Equal<A, B>): void {}

const user = entity("user", { user: t.string() });
const views = stream("views", {
  columns: {
    user: t.string(),
    seen_at: t.timestamp(),
    item: t.int64({ wide: true }),
    price: t.float64().nullable(),
    tags: t.array(t.string()),
  },
  eventTime: "seen_at",
  derive: { dear: col("price").gt(100) },
});
const base = { entity: user, source: views } as const;

const browsing = view("browsing", {
  ...base,
  features: {
    viewed: sequence(["item", "price", "tags"], { length: 20 }),
    dear: sequence(["item"], { length: 5 }).over({ session: "30m" }).where(col("dear")).ttl("1d").tags("core"),
    views_in_session: count().over({ session: "30m", max: "2d" }),
    mean_price: mean("price").over({ session: "10m" }),
    sessions_7d: countSessions({ gap: "30m" }).over("7d"),
  },
});
const recommender = service("recommender", { features: [browsing] });
same<
  Vector<typeof recommender>,
  {
    readonly viewed_item: readonly (string | null)[] | null;
    readonly viewed_price: readonly (number | null)[] | null;
    readonly viewed_tags: readonly (readonly (string | null)[] | null)[] | null;
    readonly viewed_at: readonly (Micros | null)[] | null;
    readonly dear_item: readonly (string | null)[] | null;
    readonly dear_at: readonly (Micros | null)[] | null;
    readonly views_in_session: number;
    readonly mean_price: number | null;
    readonly sessions_7d: number;
  }
>(true);
browsing.pick("viewed_item", "viewed_at", "dear_at");
// @ts-expect-error a sequence is known by its lists, not by its own name
browsing.pick("viewed");

// @ts-expect-error the source has no such column
view("v", { ...base, features: { a: sequence(["itme"], { length: 3 }) } });
// @ts-expect-error a predicate over a column that is no bool
view("v", { ...base, features: { a: sequence(["item"], { length: 3 }).where(col("price")) } });
// @ts-expect-error a sequence has a length
sequence(["item"]);
// @ts-expect-error not a duration
count().over({ session: "30 minutes" });
// @ts-expect-error not a duration
count().over({ session: "30m", max: "1dy" });
// @ts-expect-error a session has a gap
count().over({ max: "1d" });
// @ts-expect-error a session has no such option
count().over({ session: "30m", gap: "1d" });
// @ts-expect-error a gap is a duration
countSessions({ gap: 30 });
const streak = custom("streak", {
  output: t.int64(),
  empty: () => 0,
  add: (state, dear: boolean) => (dear ? state + 1 : 0),
  read: (state) => state,
});
// @ts-expect-error a custom aggregation without merge has no windows
streak("dear").over({ session: "30m" });
