/**
 * A source's columns change in the middle of its log: one is added, one may be null from then on, one is widened, two are
 * renamed (one of them twice), one is dropped. Whatever was let in before and after, by old senders and new ones, states,
 * vectors and training sets are those of a platform that had the last definitions from the beginning, to the bit.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import type { Definition } from "../../src/define/definition.ts";
import {
  col,
  count,
  countDistinct,
  entity,
  last,
  mean,
  quantile,
  service,
  stream,
  sum,
  t,
  variance,
  view,
} from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { openFileRegistry } from "../../src/registry/file-registry.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const USERS = ["ann", "bob", "cy"];
const SHOPS = ["s1", "s2"];
const SEED = firstSeed();

const user = entity("user", { user: t.string() });
const shop = entity("shop", { shop: t.string() });

function readersOf(source: any, names: { readonly spent: string; readonly shop: string }): Definition[] {
  const byUser = view("by_user", {
    entity: user,
    source,
    exactEvents: 4,
    features: {
      n: count(),
      late: count().where(col("delay").gt(15)).over("1h"),
      delayed: count("delay"),
      mean_delay: mean("delay").over("10m"),
      spread: variance("delay"),
      median: quantile("delay", 0.5).over("30m"),
      delays: countDistinct("delay"),
      total: sum(names.spent).over("10m"),
      last_spent: last(names.spent),
      cheap: count().where(col("cheap").eq(true)),
    } as any,
  } as any);
  const byShop = view("by_shop", {
    entity: shop,
    source,
    key: { shop: names.shop },
    features: { shop_total: sum(names.spent).over("30m").where(col(names.spent).gt(1)) } as any,
  } as any);
  return [
    byUser,
    byShop,
    service("model", { features: [byUser as any] }),
    service("shops", { features: [byShop as any] }),
  ];
}

const FIRST = stream("payments", {
  columns: {
    id: t.string(),
    user: t.string(),
    at: t.timestamp(),
    delay: t.int64(),
    spent: t.float64(),
    shop: t.string(),
    note: t.string(),
  },
  derive: { cheap: col("spent").lt(10) },
  eventTime: "at",
  id: "id",
});
const SECOND = stream("payments", {
  columns: {
    id: t.string(),
    user: t.string(),
    at: t.timestamp(),
    delay: t.float64().nullable().widenedFrom(t.int64()),
    paid: t.float64().was("spent"),
    place: t.string().was("shop"),
    note: t.string().dropped(),
    extra: t.int64().nullable(),
  },
  derive: { cheap: col("paid").lt(10) },
  eventTime: "at",
  id: "id",
});
const THIRD = stream("payments", {
  columns: {
    id: t.string(),
    user: t.string(),
    at: t.timestamp(),
    delay: t.float64().nullable().widenedFrom(t.int64()),
    price: t.float64().was("spent", "paid"),
    // It has its first name back.
    shop: t.string().was("shop", "place"),
    note: t.string().dropped(),
    extra: t.int64({ wide: true }).nullable().widenedFrom(t.int64()),
  },
  derive: { cheap: col("price").lt(10) },
  eventTime: "at",
  id: "id",
});
const FIRST_ALL = [user, shop, FIRST, ...readersOf(FIRST, { spent: "spent", shop: "shop" })];
const SECOND_ALL = [user, shop, SECOND, ...readersOf(SECOND, { spent: "paid", shop: "place" })];
const THIRD_ALL = [user, shop, THIRD, ...readersOf(THIRD, { spent: "price", shop: "shop" })];

type Wire = Record<string, unknown>;

/** Two platforms that are given the same: one goes through the definitions, the other has the last from the beginning. */
class World {
  readonly #folder: string;
  readonly #random: SeededRandom;
  readonly #clock = new ReplayClock(START);
  readonly #oracleClock = new ReplayClock(START);
  evolved!: Platform;
  oracle!: Platform;
  #nextId = 0;
  readonly #sent: string[] = [];

  constructor(folder: string, seed: number) {
    this.#folder = folder;
    this.#random = new SeededRandom(seed);
  }

  async open(): Promise<void> {
    this.evolved = await this.#open("evolved", FIRST_ALL, this.#clock);
    await this.evolved.apply(FIRST_ALL);
    this.oracle = await this.#open("oracle", THIRD_ALL, this.#oracleClock);
    await this.oracle.apply(THIRD_ALL);
  }

  #open(name: string, definitions: readonly Definition[], clock: ReplayClock): Promise<Platform> {
    return openPlatform({ dataDir: join(this.#folder, name), definitions, clock, servingLogSampleRate: 1 });
  }

  async reopen(definitions: readonly Definition[], registered: readonly Definition[] = []): Promise<void> {
    await this.evolved.close();
    if (registered.length > 0) {
      const registry = await openFileRegistry(join(this.#folder, "evolved", "registry"), { clock: this.#clock });
      await registry.apply(registered);
      await registry.close();
    }
    this.evolved = await this.#open("evolved", definitions, this.#clock);
  }

  async close(): Promise<void> {
    await Promise.all([this.evolved.close(), this.oracle.close()]);
  }

  #tick(): void {
    const now = (this.#clock.now() + this.#random.integer(1, 4 * MINUTE)) as Micros;
    this.#clock.advanceTo(now);
    this.#oracleClock.advanceTo(now);
  }

  /** As senders of the first, second or third definitions would send it. */
  row(by: 1 | 2 | 3, id = `p${this.#nextId++}`): Wire {
    const random = this.#random;
    const spent = random.integer(0, 400) / 8;
    const at = formatMicros((this.#clock.now() - random.pick([0, 0, 1, 7, 25]) * MINUTE) as Micros);
    const common = { id, user: random.pick(USERS), at };
    const place = random.pick(SHOPS);
    if (by === 1) return { ...common, delay: random.integer(-5, 60), spent, shop: place, note: "sent" };
    const delay = random.pick([null, random.integer(0, 60), random.integer(0, 600) / 16]);
    const extra = random.oneIn(2) ? {} : { extra: random.integer(0, 9) };
    const note = random.oneIn(3) ? { note: random.pick(["sent", null, 5]) } : {};
    const late = delay === null && random.oneIn(2) ? {} : { delay };
    if (by === 2) {
      const paid = random.oneIn(4) ? { spent, paid: spent } : { paid: spent };
      return { ...common, ...late, ...paid, place, ...extra, ...note };
    }
    return { ...common, ...late, price: spent, shop: place, ...extra, ...note };
  }

  async push(...by: readonly (1 | 2 | 3)[]): Promise<void> {
    this.#tick();
    const rows = Array.from({ length: this.#random.integer(1, 5) }, () => this.row(this.#random.pick(by)));
    for (const platform of [this.evolved, this.oracle]) {
      const pushed = await platform.push("payments", rows);
      strictEqual(pushed.accepted, rows.length, JSON.stringify(pushed.outcomes));
    }
    this.#sent.push(...rows.map(({ id }) => id as string));
  }

  async correct(by: 1 | 2 | 3): Promise<void> {
    this.#tick();
    const id = this.#random.pick(this.#sent);
    const event = this.row(by, id);
    const correction = this.#random.oneIn(3)
      ? ({ op: "retract", id } as const)
      : ({ op: "replace", id, event } as const);
    const outcomes = [];
    for (const platform of [this.evolved, this.oracle])
      outcomes.push((await platform.correct("payments", [correction])).outcomes);
    deepStrictEqual(outcomes[0], outcomes[1]);
  }

  async import(name: string, text: string): Promise<void> {
    const file = join(this.#folder, name);
    await writeFile(file, text);
    const reports = [];
    for (const platform of [this.evolved, this.oracle]) reports.push(await platform.importHistory("payments", [file]));
    deepStrictEqual([reports[0]!.rejected, reports[0]!.accepted], [0, reports[1]!.accepted]);
  }

  async serve(): Promise<void> {
    for (const name of USERS) {
      const [a, b] = [await this.#vector(this.evolved, name), await this.#vector(this.oracle, name)];
      deepStrictEqual(a, b);
    }
  }

  async #vector(platform: Platform, name: string): Promise<unknown> {
    const { features } = await platform.vector("model", { user: name }, { token: true });
    return features;
  }

  /** States to the byte, training to the bit, and each platform's own audit. */
  async check(): Promise<void> {
    await Promise.all([this.evolved.settle(), this.oracle.settle()]);
    const statesOf = (platform: Platform, name: string): string[] =>
      [...platform.exportStates(name)].map(({ key, bytes }) => `${key} ${Buffer.from(bytes).toString("hex")}`);
    for (const name of ["by_user", "by_shop"])
      deepStrictEqual(statesOf(this.evolved, name), statesOf(this.oracle, name));
    const span = this.#clock.now() - START;
    for (const [name, column, keys] of [
      ["model", "user", USERS],
      ["shops", "shop", SHOPS],
    ] as const) {
      const labels = Array.from(
        { length: 30 },
        () => `${this.#random.pick(keys)},${formatMicros((START + this.#random.integer(0, span)) as Micros)}`,
      );
      const path = join(this.#folder, "labels.csv");
      await writeFile(path, [`${column},t`, ...labels].join("\n"));
      const sets = [];
      for (const platform of [this.evolved, this.oracle]) {
        const set = await platform.train({ service: name, labels: path, boundary: "inclusive", allowAfterLog: true });
        sets.push(labels.map((label, i) => [label, ...set.columns.map((one) => one.value(i))]));
      }
      deepStrictEqual(sets[0], sets[1]);
    }
    const audit = await this.evolved.audit({ states: true });
    deepStrictEqual([audit.mismatched, audit.missing, audit.clean], [0, 0, true]);
    ok(audit.compared > 0);
  }
}

let parent: string;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "onefold-evolution-"));
});
afterAll(() => rm(parent, { recursive: true, force: true }));

const HISTORY = ["h1,ann,2026-02-01T00:00:00Z,5,2.5,s1,old", "h2,bob,2026-02-02T00:00:00Z,20,12.5,s2,old"];

describe("a source whose columns change", { timeout: 600_000 }, () => {
  it.each(Array.from({ length: Number(process.env["ONEFOLD_EVOLUTIONS"] ?? 2) }, (_, i) => SEED + i))(
    "comes to what the last definitions make of all its events, whoever sends what (seed %i)",
    async (seed) => {
      const world = new World(join(parent, `seed-${seed}`), seed);
      await mkdir(join(parent, `seed-${seed}`));
      await world.open();
      await world.import("first.csv", ["id,user,at,delay,spent,shop,note", ...HISTORY].join("\n"));
      for (let i = 0; i < 6; i++) await world.push(1);
      await world.serve();
      await world.correct(1);
      await world.evolved.settle();
      for (let i = 0; i < 2; i++) await world.push(1);

      const plan = await world.evolved.apply(SECOND_ALL);
      expect(plan.changes.filter(({ change }) => change !== "unchanged").map(({ name }) => name)).toEqual(["payments"]);
      for (let i = 0; i < 5; i++) await world.push(1, 2);
      await world.correct(2);
      await world.serve();
      await world.check();
      // A server that has not been restarted, or is with the code of before, goes by what is registered.
      await world.reopen(FIRST_ALL);
      for (let i = 0; i < 2; i++) await world.push(1, 2);
      expect(world.evolved.plan(FIRST_ALL).refused).toBe(true);

      // It ends when these are registered, and has done nothing about it.
      await world.reopen(THIRD_ALL, THIRD_ALL);
      for (let i = 0; i < 5; i++) await world.push(1, 2, 3);
      await world.correct(3);
      await world.correct(1);
      const more = [
        { id: "h3", user: "cy", at: "2026-02-03T00:00:00Z", delay: 1.5, price: 4, place: "s1" },
        { id: "h4", user: "ann", at: "2026-02-04T00:00:00Z", delay: 3, spent: 5, shop: "s2", note: "old" },
        { id: "h5", user: "ann", at: "2026-02-05T00:00:00Z", paid: 6, shop: "s1", extra: "9007199254740993" },
      ];
      await world.import("more.ndjson", more.map((row) => JSON.stringify(row)).join("\n"));
      await world.check();
      await world.evolved.backfill({ name: "by_user" });
      await world.reopen(THIRD_ALL);
      await world.push(1, 2, 3);
      await world.serve();
      await world.check();
      await world.close();
    },
  );

  it("refuses what new senders send while the old definitions stand, and lets it in once the new ones do", async () => {
    const world = new World(join(parent, "early"), SEED);
    await mkdir(join(parent, "early"));
    await world.open();
    await world.push(1);
    const at = formatMicros((START + MINUTE) as Micros);
    const early = [
      { id: "e1", user: "ann", at, delay: 1.5, spent: 1, shop: "s1", note: "n" },
      { id: "e2", user: "ann", at, delay: null, spent: 2, shop: "s1", note: "n" },
      { id: "e3", user: "ann", at, delay: 3, paid: 3, shop: "s1", note: "n" },
      { id: "e4", user: "ann", at, delay: 4, spent: 4, shop: "s1" },
      { id: "e5", user: "ann", at, delay: 5, spent: 5, shop: "s1", note: "n", extra: 5 },
    ];
    const { outcomes } = await world.evolved.push("payments", early);
    expect(outcomes.map((one) => ("code" in one ? one.code : one.status))).toEqual([
      "TYPE_MISMATCH",
      "NULL_NOT_ALLOWED",
      "NULL_NOT_ALLOWED",
      "NULL_NOT_ALLOWED",
      "COLUMN_UNKNOWN",
    ]);
    await world.evolved.apply(SECOND_ALL);
    const desk = world.evolved.deadLetters();
    const letters = await desk.list({ source: "payments" });
    expect(letters).toHaveLength(early.length);
    for (const { id, payload } of letters) {
      expect(await desk.replay({ source: "payments", ids: [id] })).toMatchObject({ accepted: 1, rejected: 0 });
      expect(await world.oracle.push("payments", [payload])).toMatchObject({ accepted: 1 });
    }
    await world.serve();
    await world.check();
    await world.close();
  });
});
