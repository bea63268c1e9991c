/** An owner that publishes to a Redis and a server that serves from it, in one process and on one clock. */
import { ReplayClock } from "../../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../../src/base/micros.ts";
import {
  col,
  count,
  entity,
  last,
  max,
  mean,
  onDemand,
  type OnlineServer,
  openOnlineServer,
  openPlatform,
  type Platform,
  service,
  stream,
  sum,
  t,
  view,
} from "../../../src/index.ts";
import type { SeededRandom } from "../../../src/testing/random.ts";

const MINUTE = 60_000_000;
/** Of the metadata. */
const DIFFERS = new Set(["latency_ms", "timestamp", "snapshot_age_ms"]);
export const START: Micros = parseMicros("2026-03-01T00:00:00Z");

const user = entity("user", { user_id: t.string() });
const shop = entity("shop", { shop_id: t.int64() });
export const payments = stream("payments", {
  columns: { payment_id: t.string(), user_id: t.string(), shop_id: t.int64(), amount: t.float64(), at: t.timestamp() },
  eventTime: "at",
  id: "payment_id",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: {
    spent_1h: sum("amount").over("1h"),
    payments: count(),
    latest: last("amount"),
    large: count().where(col("amount").gt(50)).over("1d"),
  },
});
const shops = view("shops", {
  entity: shop,
  source: payments,
  features: { mean_1d: mean("amount").over("1d"), largest: max("amount") },
});
/** The one view whose states read as empty after a while. */
const recent = view("recent", { entity: user, source: payments, features: { recent_1h: count().over("1h") } });
const relative = onDemand("relative", {
  inputs: [spending, shops],
  request: { asked: t.float64() },
  outputs: { to_mean: t.float64() },
  compute: ({ mean_1d, spent_1h, asked }) => ({
    to_mean: mean_1d === null || spent_1h === null ? null : (asked + spent_1h) / mean_1d,
  }),
});
export const definitions = [
  user,
  shop,
  payments,
  spending,
  shops,
  recent,
  relative,
  service("plain", { features: [spending, shops] }),
  service("fraud", { features: [spending, shops, relative] }),
];
/** Definitions of a draft, to be applied one after the other. */
export const drafts = [sum("amount"), max("amount"), count()].map((feature) => [
  view("draft", { version: "dev", entity: user, source: payments, features: { drafted: feature } }),
]);

export class OnlineWorld {
  readonly clock: ReplayClock = new ReplayClock(START);
  /** Share of the entities whose vectors are recorded: of these no answer is kept. */
  readonly #sampleRate: number;
  readonly #dataDir: string;
  readonly #url: string;
  readonly errors: unknown[] = [];
  owner!: Platform;
  server!: OnlineServer;
  #payments = 0;

  constructor(dataDir: string, url: string, sampleRate = 1) {
    this.#sampleRate = sampleRate;
    this.#dataDir = dataDir;
    this.#url = url;
  }

  async openOwner(): Promise<void> {
    this.owner = await openPlatform({
      dataDir: this.#dataDir,
      definitions,
      clock: this.clock,
      servingLogSampleRate: this.#sampleRate,
      publish: this.#url,
      onPublishError: (error) => this.errors.push(error),
    });
  }

  async openServer(): Promise<void> {
    this.server = await openOnlineServer({
      dataDir: this.#dataDir,
      online: this.#url,
      definitions,
      clock: this.clock,
      servingLogSampleRate: this.#sampleRate,
      onError: (error) => this.errors.push(error),
    });
  }

  async close(): Promise<void> {
    await this.server?.close();
    await this.owner?.close();
  }

  payment(userId: string, shopId: number, amount: number, at: Micros = this.clock.now()): Record<string, unknown> {
    const paymentId = `p${++this.#payments}`;
    return { payment_id: paymentId, user_id: userId, shop_id: shopId, amount, at: formatMicros(at) };
  }

  async pushSome(random: SeededRandom, rowsMax = 40): Promise<void> {
    this.clock.advanceTo((this.clock.now() + random.integer(1, 20 * MINUTE)) as Micros);
    const rows = Array.from({ length: random.integer(1, rowsMax) }, () => {
      const at = (this.clock.now() - random.integer(0, 3 * MINUTE)) as Micros;
      return this.payment(`u${random.integer(1, 12)}`, random.integer(1, 4), random.integer(-500, 9000) / 100, at);
    });
    await this.owner.push("payments", rows);
  }

  /** One vector with all there is to say of it, but how long it took and how old its states may be. */
  async vector(from: "owner" | "server", userId: string, shopId: number, name = "plain"): Promise<unknown> {
    const answer = await this.ask(from, `/services/${name}/vector`, {
      entities: { user_id: userId, shop_id: shopId },
      metadata: "full",
      token: true,
      ...(name === "fraud" ? { request: { asked: 12.5 } } : {}),
    });
    const said = Object.entries(answer["metadata"] as object).filter(([name]) => !DIFFERS.has(name));
    return { ...answer, metadata: Object.fromEntries(said) };
  }

  ask(from: "owner" | "server", path: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
    return (from === "owner" ? this.owner : this.server).request("POST", path, body);
  }
}
