/**
 * An entity forgotten whose events others are folded from, too: what is left is what would be there had these events never come,
 * for everyone, wherever the forgetting is cut short.
 */
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, countDistinct, entity, last, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const GONE = "ada";
const USERS = [GONE, "bob", "cy"];
const SHOPS = ["north", "south", "east", "west"];

const user = entity("user", { user: t.string() });
const shop = entity("shop", { shop: t.string() });
const payments = stream("payments", {
  columns: {
    id: t.string(),
    user: t.string(),
    to: t.string(),
    shop: t.string(),
    amount: t.float64(),
    at: t.timestamp(),
  },
  eventTime: "at",
  id: "id",
});
const features = { n: count(), total: sum("amount").over("10m"), newest: last("amount") };
const spending = view("spending", { version: 1, entity: user, source: payments, features });
const receiving = view("receiving", { version: 1, entity: user, source: payments, key: { user: "to" }, features });
const sales = view("sales", {
  version: 1,
  entity: shop,
  source: payments,
  features: { ...features, users: countDistinct("user") },
});
const shops = service("shops", { features: [sales] });
const users = service("users", { features: [spending, receiving.prefix("got_")] });
const definitions = [user, shop, payments, spending, receiving, sales, shops, users];

interface Step {
  readonly at: Micros;
  readonly rows?: readonly Record<string, unknown>[];
  readonly retract?: readonly string[];
  readonly history?: readonly Record<string, unknown>[];
}

/** What happens: history in two files, pushes, and events taken back by id. */
function makeSteps(random: SeededRandom): Step[] {
  let next = 0;
  const row = (at: number) => ({
    id: `p${next++}`,
    user: random.pick(USERS),
    to: random.pick(USERS),
    shop: random.pick(SHOPS),
    amount: random.integer(0, 99) / 4,
    at: formatMicros(at as Micros),
  });
  const steps: Step[] = [];
  for (const minutes of [40, 30]) {
    steps.push({
      at: START,
      history: Array.from({ length: 25 }, (_, i) => row(START - minutes * MINUTE + i * 1_000_003)),
    });
  }
  const ids: string[] = [];
  for (let round = 0; round < 15; round++) {
    const at = (START + round * 40_000_001) as Micros;
    const rows = Array.from({ length: 4 }, (_, i) => row(at - i * 20_000_000));
    ids.push(...rows.map(({ id }) => id));
    steps.push({ at, rows });
    if (round % 4 === 3) steps.push({ at, retract: [ids.splice(random.integer(0, ids.length - 1), 1)[0]!] });
  }
  return steps;
}

const isGone = (row: Readonly<Record<string, unknown>>): boolean => row["user"] === GONE || row["to"] === GONE;

class World {
  readonly folder: string;
  readonly clock = new ReplayClock(START);
  platform!: Platform;

  constructor(folder: string) {
    this.folder = folder;
  }

  async open(): Promise<void> {
    const { folder: dataDir, clock } = this;
    this.platform = await openPlatform({ dataDir, definitions, clock, servingLogSampleRate: 1 });
    await this.platform.apply(definitions);
  }

  async run(steps: readonly Step[], keeps: (row: Readonly<Record<string, unknown>>) => boolean): Promise<void> {
    const kept = new Set(
      steps.flatMap(({ rows = [], history = [] }) => [...rows, ...history].filter(keeps).map((row) => row["id"])),
    );
    for (const [i, { at, rows = [], retract = [], history }] of steps.entries()) {
      this.clock.advanceTo(at);
      if (history !== undefined) {
        const path = join(this.folder, "..", `history-${i}.ndjson`);
        await writeFile(
          path,
          history
            .filter(keeps)
            .map((row) => JSON.stringify(row))
            .join("\n"),
        );
        await this.platform.importHistory("payments", [path]);
      }
      const left = rows.filter(keeps);
      if (left.length > 0) await this.platform.push("payments", left);
      const ids = retract.filter((id) => kept.has(id));
      if (ids.length > 0)
        await this.platform.correct(
          "payments",
          ids.map((id) => ({ op: "retract", id })),
        );
      for (const name of SHOPS) await this.platform.vector("shops", { shop: name });
      for (const name of USERS) await this.platform.vector("users", { user: name });
    }
    this.clock.advanceTo((START + 15 * MINUTE) as Micros);
    await this.platform.settle();
  }

  /** All that can be told of features, now and at past times. */
  async told(): Promise<unknown> {
    const { platform, folder } = this;
    const vectors = [];
    for (const name of SHOPS) vectors.push((await platform.vector("shops", { shop: name })).features);
    for (const name of USERS) vectors.push((await platform.vector("users", { user: name })).features);
    const sets = [];
    const times = Array.from({ length: 20 }, (_, i) => formatMicros((START - 41 * MINUTE + i * 150_000_007) as Micros));
    for (const [asked, key, names] of [
      ["shops", "shop", SHOPS],
      ["users", "user", USERS],
    ] as const) {
      const labels = join(folder, "..", `${asked}.csv`);
      const rows = names.flatMap((name) => times.map((time) => `${name},${time}`));
      await writeFile(labels, [`${key},t`, ...rows].join("\n"));
      for (const knowledge of ["as-known", "final"] as const) {
        const request = { service: asked, labels, boundary: "inclusive", allowAfterLog: true, knowledge } as const;
        const { columns, rowCount } = await platform.train(request);
        sets.push(columns.map((one) => [one.name, ...Array.from({ length: rowCount }, (_, i) => one.value(i))]));
      }
    }
    return { vectors, sets };
  }
}

describe("an entity whose events others are folded from", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "onefold-forgetting-shared-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it(`is forgotten, on request, as if its events had never come (seed ${SEED})`, { timeout: 300_000 }, async () => {
    const steps = makeSteps(new SeededRandom(SEED));
    const never = new World(join(folder, "never"));
    await never.open();
    await never.run(steps, (row) => !isGone(row));
    const expected = await never.told();
    await never.platform.close();

    const world = new World(join(folder, "world"));
    await world.open();
    await world.run(steps, () => true);
    expect(await world.told()).not.toEqual(expected);
    await expect(world.platform.forget("user", [GONE])).rejects.toMatchObject({ code: "FORGET_SHARED" });
    const untouched = join(folder, "untouched");
    await world.platform.close();
    await cp(world.folder, untouched, { recursive: true });

    await world.open();
    const report = await world.platform.forget("user", [GONE], { shared: true });
    expect(report.refolded).toBeGreaterThan(3);
    expect(report.servedVectors).toBeGreaterThan(10);
    expect(await world.told()).toEqual(expected);
    // Of what is still logged nothing is found that events do not give, and every state is what they give.
    expect(await world.platform.audit({ states: true })).toMatchObject({ clean: true, mismatched: 0 });
    const events = await world.platform.offlineRows("events/payments", "_offset");
    expect(events.filter(isGone)).toEqual([]);
    await world.platform.close();

    // Cut short behind any part it goes on by the note, which knows the others that the archive no longer names.
    const sharing = { payments: sharingOf(steps) };
    const parts = ["online", "log", "offline", "dead-letters", "serving-log"];
    for (const part of parts) {
      for (const later of parts.slice(parts.indexOf(part))) {
        await rm(join(world.folder, later), { recursive: true, force: true });
        await cp(join(untouched, later), join(world.folder, later), { recursive: true }).catch(() => {});
      }
      // States of others are folded anew at the very end.
      await rm(join(world.folder, "online"), { recursive: true });
      await cp(join(untouched, "online"), join(world.folder, "online"), { recursive: true });
      await writeFile(
        join(world.folder, "forget.json"),
        JSON.stringify({ entity: "user", key: GONE, shared: true, sharing }),
      );
      await world.open();
      expect([part, await world.told()]).toEqual([part, expected]);
      expect(await world.platform.audit({ states: true })).toMatchObject({ clean: true, mismatched: 0 });
      await world.platform.close();
    }
  });
});

/** What a forgetting notes of others. */
function sharingOf(steps: readonly Step[]): unknown[] {
  const rows = steps.flatMap(({ rows: some = [], history = [] }) => [...some, ...history]).filter(isGone);
  return [
    ["user", "user"],
    ["user", "to"],
    ["shop", "shop"],
  ].map(([name, column]) => {
    const keys = new Set(rows.map((row) => row[column!] as string));
    if (name === "user") keys.delete(GONE);
    return { entity: name, keyColumns: [column], keys: [...keys] };
  });
}
