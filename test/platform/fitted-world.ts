/**
 * Payments at random, on-demand and fitted services over them, and what was served: to be trained with again.
 */
import { deepStrictEqual, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import type { Definition } from "../../src/define/definition.ts";
import { count, entity, last, mean, onDemand, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { Value } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import type { TrainingManifest } from "../../src/training/manifest.ts";
import { sameBits } from "../../src/training/same-bits.ts";

export const SEED: number = Number(process.env["ONEFOLD_SEED"] ?? 11);
export const START: Micros = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

export const user = entity("user", { user_id: t.string() });
export const payments = stream("payments", {
  columns: {
    payment_id: t.string(),
    user_id: t.string(),
    paid_at: t.timestamp(),
    amount: t.float64().nullable(),
    shop: t.string(),
  },
  eventTime: "paid_at",
  id: "payment_id",
});
export const spending = view("spending", {
  entity: user,
  source: payments,
  features: { payments_1h: count().over("1h"), mean_1d: mean("amount").over("1d"), shop: last("shop") },
});
export const unusual = onDemand("unusual", {
  inputs: [spending.pick("mean_1d")],
  request: { amount: t.float64() },
  outputs: { ratio: t.float64() },
  compute: ({ mean_1d, amount }) => {
    if (amount > 900) throw new Error("too much");
    return { ratio: mean_1d === null ? null : amount / mean_1d };
  },
});
export const base: readonly Definition[] = [user, payments, spending, unusual];

export interface Served {
  readonly user: string;
  readonly amount: number;
  readonly asOf: Micros;
  readonly features: Readonly<Record<string, Value>>;
  readonly fit: unknown;
  readonly token: string;
}

/** A platform in a folder of its own. Close it. */
export class FittedWorld {
  readonly clock = new ReplayClock(START);
  readonly random = new SeededRandom(SEED);
  readonly folder: string;
  platform!: Platform;
  /** Payments so far. */
  step = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(definitions: readonly Definition[]): Promise<FittedWorld> {
    const world = new FittedWorld(await mkdtemp(join(tmpdir(), "onefold-")));
    await world.openAgain(definitions);
    await world.platform.apply(definitions);
    return world;
  }

  async openAgain(definitions: readonly Definition[]): Promise<void> {
    const dataDir = join(this.folder, "data");
    this.platform = await openPlatform({ dataDir, clock: this.clock, definitions, servingLogSampleRate: 1 });
  }

  async close(): Promise<void> {
    await this.platform.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** So many payments, some seen late. */
  async pay(times: number): Promise<void> {
    for (let i = 0; i < times; i++, this.step++) {
      this.clock.advanceTo(at(this.step * 7));
      const late = this.random.oneIn(4) ? this.random.integer(1, 90) : 0;
      await this.platform.push("payments", [
        {
          payment_id: `p${this.step}`,
          user_id: `u${this.random.integer(1, 4)}`,
          paid_at: { micros: at(this.step * 7 - late) },
          amount: this.random.oneIn(5) ? null : this.random.integer(1, 100_000) / 97,
          shop: this.random.pick(["a", "a", "b", "c", "d"]),
        },
      ]);
    }
  }

  /** So many vectors of users at random, each a while after the one before. */
  async serve(
    vectors: number,
    { service = "fraud", fit }: { readonly service?: string; readonly fit?: number } = {},
  ): Promise<Served[]> {
    const served: Served[] = [];
    for (let i = 0; i < vectors; i++) {
      this.clock.advanceTo((this.clock.now() + this.random.integer(1, 400_000_000)) as Micros);
      const key = `u${this.random.integer(1, 6)}`;
      const amount = this.random.integer(1, 100_000) / 91;
      const options = { request: { amount }, token: true, ...(fit === undefined ? {} : { fit }) };
      const { features, metadata } = await this.platform.vector(service, { user_id: key }, options);
      const asOf = parseMicros(String(metadata["as_of"]));
      served.push({ user: key, amount, asOf, features, fit: metadata["fit"], token: String(metadata["token"]) });
    }
    return served;
  }

  async writeLabels(rows: readonly Pick<Served, "user" | "amount" | "asOf" | "token">[]): Promise<string> {
    const path = join(this.folder, "labels.csv");
    const lines = rows.map(({ user: key, amount, asOf, token }, i) =>
      [key, formatMicros(asOf), String(amount), token, i % 3 === 0 ? "test" : "train"].join(","),
    );
    await writeFile(path, `user_id,t,amount,token,part\n${lines.join("\n")}\n`);
    return path;
  }

  /** Label rows at times of their own. */
  async labelsOf(rows: number): Promise<string> {
    return this.writeLabels(
      Array.from({ length: rows }, (_, i) => ({
        user: `u${1 + (i % 5)}`,
        amount: 10 + i,
        asOf: (START + Math.floor(((i + 0.5) * (this.clock.now() - START)) / rows)) as Micros,
        token: "none",
      })),
    );
  }

  /** Every value of the training set is, bit for bit, what was served. */
  async expectTrained(
    served: readonly Served[],
    options: { readonly service?: string; readonly knowledge?: "as-served"; readonly fit?: number },
  ): Promise<TrainingManifest> {
    await this.platform.settle();
    const set = await this.platform.train({
      service: "fraud",
      labels: await this.writeLabels(served),
      allowAfterLog: true,
      boundary: "inclusive",
      ...options,
    });
    deepStrictEqual(
      set.columns.map(({ name }) => name),
      Object.keys(served[0]!.features),
    );
    let compared = 0;
    for (const [row, { features }] of served.entries()) {
      for (const column of set.columns) {
        const value = features[column.name]!;
        const found = column.value(row);
        ok(sameBits(found, value), `row ${row}, ${column.name}: ${String(found)} for ${String(value)}`);
        compared++;
      }
    }
    ok(compared > 100);
    return set.manifest;
  }
}

export function at(minutes: number): Micros {
  return (START + minutes * MINUTE) as Micros;
}
