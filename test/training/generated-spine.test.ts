/** Label rows that are generated, rows split by time, and a TTL, against what a person would write down. */
import { mkdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatMicros } from "../../src/base/micros.ts";
import { count, entity, service, stream, t, view } from "../../src/index.ts";
import type { EngineSettings, QueryEngine } from "../../src/offline-store/engine.ts";
import type { Value } from "../../src/schema/value.ts";
import { train, type TrainingSet, type TrainRequest } from "../../src/training/training-set.ts";
import { definitions, flight } from "./flights.ts";
import { errorOf, MINUTE, minute, rowsOf, TrainingWorld } from "./training-world.ts";

let world: TrainingWorld;
beforeAll(async () => {
  world = await TrainingWorld.open(definitions);
  await world.history("flights", [
    flight("A", "x|y", 3, 10, { plane: "K1" }),
    flight("B", "C", 10, 20, { plane: "k2" }),
  ]);
  await world.live("flights", [flight("A", "x|y", 25, 1, { happenedAt: 4, plane: "k2" }), flight("B", "C", 31, 5)]);
});
afterAll(() => world.close());

type Ticks = Exclude<TrainRequest["labels"], { readonly path: string }>;

function ticks(
  service: string,
  labels: Omit<Ticks, "everyMicros"> & { every: number },
  more: Partial<TrainRequest> = {},
) {
  const { every, ...rest } = labels;
  return train({ ports: world.ports, service, labels: { everyMicros: every * MINUTE, ...rest }, ...more });
}

/** Rows of the written file by the columns named. */
async function written(path: string, columns: readonly string[]): Promise<Value[][]> {
  const rows = await world.engine.rows(`SELECT ${columns.join(", ")} FROM '${path}'`);
  return rows.map((row) => columns.map((name) => row[name]!));
}

/** What a label file of the same rows gives. */
async function byHand(service: string, header: string, rows: readonly string[]): Promise<TrainingSet> {
  const labels = await world.file("csv", [header, ...rows].join("\n"));
  return train({ ports: world.ports, service, labels: { path: labels }, boundary: "inclusive" });
}

describe("label rows of all entities at every tick", () => {
  it("begin at the tick by which an entity was known, by its key as it is typed, and hold what label rows would", async () => {
    const out = world.path("ticks.parquet");
    const folders = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("onefold-labels-"));
    const before = folders();
    const set = await ticks("carrier_model", { every: 10, entities: "all" }, { out });
    const expected = ["k1", "k1", "k2", "k1", "k2"].map((key, i) => [key, minute([10, 20, 20, 30, 30][i]!)]);
    // k2 is known at the very time of the second tick, which counts
    const rows = [expected[0]!, ["k2", minute(10)], ...expected.slice(1)];
    expect(await written(out, ["carrier", "epoch_us(event_timestamp)"])).toEqual(rows);
    const hand = await byHand(
      "carrier_model",
      "carrier,t",
      rows.map(([key, t]) => `${key},${formatMicros(t as never)}`),
    );
    expect(rowsOf(set)).toEqual(rowsOf(hand));
    expect(set.manifest).toMatchObject({
      boundary: "inclusive",
      spine: {
        rows: 6,
        generated: {
          everyMicros: 10 * MINUTE,
          entities: "all",
          from: formatMicros(minute(10)),
          to: formatMicros(minute(30)),
        },
      },
    });
    // Other tests make such folders meanwhile, and remove them.
    const made = folders().filter((name) => !before.includes(name));
    await expect.poll(() => made.filter((name) => existsSync(join(tmpdir(), name)))).toEqual([]);
  });

  it("are given up at once when that is asked for, whatever they are made by at that moment", async () => {
    const labels = { everyMicros: 10 * MINUTE, entities: "all" as const };
    let calls = 0;
    // Of the first engine that is opened, which makes the label rows: aborts at its n-th call, which ends only as it is interrupted.
    const abortedAt = async (n: number): Promise<unknown> => {
      const controller = new AbortController();
      let isFirst = true;
      calls = 0;
      const openEngine = async (settings?: EngineSettings): Promise<QueryEngine> => {
        const engine = await world.ports.openEngine(settings);
        if (!isFirst) return engine;
        isFirst = false;
        let interrupt!: () => void;
        const interrupted = new Promise<void>((resolve) => (interrupt = resolve));
        const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
          if (calls++ !== n) return work();
          controller.abort();
          await interrupted;
          throw new Error("INTERRUPT");
        };
        return {
          ...engine,
          run: (sql) => inTurn(() => engine.run(sql)),
          rows: (sql) => inTurn(() => engine.rows(sql)),
          fill: (...args) => inTurn(() => engine.fill(...args)),
          stream: (...args) => engine.stream(...args),
          interrupt: () => interrupt(),
          close: () => engine.close(),
        };
      };
      const out = world.path(`aborted-${n}.parquet`);
      const ports = { ...world.ports, openEngine };
      return errorOf(train({ ports, service: "carrier_model", labels, out, signal: controller.signal }));
    };
    for (const n of [0, 1, 2, 3, 4, 5, 6]) {
      expect(await abortedAt(n), String(n)).toMatchObject({ code: "CANCELLED" });
      // What it cleans up behind itself it may.
      expect(calls, String(n)).toBeLessThanOrEqual(n + 2);
    }
    const before = await errorOf(
      train({ ports: world.ports, service: "carrier_model", labels, signal: AbortSignal.abort() }),
    );
    expect(before).toMatchObject({ code: "CANCELLED" });
  });

  it("leave out an entity that became known at the tick under an exclusive boundary, and keep within from and to", async () => {
    const out = world.path("exclusive.parquet");
    const from = minute(10);
    await ticks("carrier_model", { every: 7, entities: "all", from, to: minute(18) }, { out, boundary: "exclusive" });
    const at = (tick: number): unknown => minute(tick);
    expect(await written(out, ["carrier", "epoch_us(event_timestamp)"])).toEqual([
      ["k1", at(10)],
      ["k1", at(17)],
      ["k2", at(17)],
    ]);
  });

  it("of a file are at every tick, known or not, with its other columns", async () => {
    const entities = await world.file("csv", "weight,origin,destination\n1,B,C\n2,never,seen\n");
    const out = world.path("file.parquet");
    const set = await ticks(
      "model",
      { every: 30, entities: { path: entities }, from: minute(0), to: minute(31) },
      { out },
    );
    expect(await written(out, ["weight", "origin", "epoch_us(event_timestamp)"])).toEqual([
      [1, "B", minute(0)],
      [2, "never", minute(0)],
      [1, "B", minute(30)],
      [2, "never", minute(30)],
    ]);
    const times = [0, 0, 30, 30].map(
      (tick, i) => `${i % 2 === 0 ? "B,C" : "never,seen"},${formatMicros(minute(tick))}`,
    );
    expect(rowsOf(set)).toEqual(rowsOf(await byHand("model", "origin,destination,t", times)));
  });

  it("keep the file's order and columns, whatever their names", async () => {
    const entities = await world.file(
      "csv",
      "place,i,first,origin,destination\n9,1,5,B,C\n1,2,4,never,seen\n5,3,3,B,C\n",
    );
    const out = world.path("named.parquet");
    await ticks("model", { every: 30, entities: { path: entities }, from: minute(0), to: minute(31) }, { out });
    const once = [
      [9, 1, 5],
      [1, 2, 4],
      [5, 3, 3],
    ];
    expect(await written(out, ["place", "i", "first"])).toEqual([...once, ...once]);
  });

  it("have keys of any name", async () => {
    const columns = { place: t.string(), i: t.int64(), first: t.string(), at: t.timestamp() };
    const shop = entity("shop", { place: t.string(), i: t.int64(), first: t.string() });
    const sales = stream("sales", { columns, eventTime: "at" });
    const sold = view("sold", { version: 1, entity: shop, source: sales, features: { sales: count() } });
    const own = await TrainingWorld.open([shop, sales, sold, service("sold_model", { features: [sold] })]);
    try {
      const sale = (place: string, i: number, at: number) => ({
        eventTime: minute(at),
        knownTime: minute(at),
        row: [place, i, "x", minute(at)],
      });
      await own.live("sales", [sale("b", 2, 1), sale("a", 7, 2), sale("a", 7, 40)]);
      const out = own.path("keys.parquet");
      const labels = { everyMicros: 10 * MINUTE, entities: "all", to: minute(20) } as const;
      await train({ ports: own.ports, service: "sold_model", labels, out });
      const rows = await own.engine.rows(`SELECT place, i, "first", sales FROM '${out}'`);
      const once = [
        { place: "a", i: 7, first: "x", sales: 1 },
        { place: "b", i: 2, first: "x", sales: 1 },
      ];
      expect(rows).toEqual([...once, ...once]);
    } finally {
      await own.close();
    }
  });

  it("are made in the memory and the folder that the set is given", async () => {
    const spillFolder = world.path("spill");
    await mkdir(spillFolder);
    const settings: (EngineSettings | undefined)[] = [];
    const made: string[][] = [];
    const ports = {
      ...world.ports,
      openEngine: async (given?: EngineSettings) => {
        settings.push(given);
        made.push(readdirSync(spillFolder));
        return world.ports.openEngine(given);
      },
    };
    const limits = { memoryBytes: 400e6, spillFolder };
    const labels = { everyMicros: 10 * MINUTE, entities: "all" } as const;
    await train({ ports, service: "carrier_model", labels, out: world.path("limited.parquet"), ...limits });
    expect(settings).toEqual([1, 2].map(() => ({ memoryBytes: 200e6, spillFolder })));
    expect(made[1]).toEqual([expect.stringMatching(/^onefold-labels-/)]);
  });

  it("are refused where they cannot be told, or there are none or too many", async () => {
    const refused = (labels: Parameters<typeof ticks>[1], more?: Partial<TrainRequest>, service = "carrier_model") =>
      errorOf(ticks(service, labels, more));
    expect(await refused({ every: 10, entities: "all" }, {}, "model")).toMatchObject({
      code: "REQUEST_INVALID",
      where: "route, airport",
      hint: expect.stringContaining("--entities FILE") as string,
    });
    const from = minute(20);
    expect(await refused({ every: 10, entities: "all", from, to: minute(19) })).toMatchObject({
      code: "REQUEST_INVALID",
    });
    expect(await refused({ every: 0, entities: "all" })).toMatchObject({ code: "REQUEST_INVALID" });
    expect(await refused({ every: 1 / MINUTE, entities: "all" })).toMatchObject({ code: "REQUEST_INVALID" });
    expect(await refused({ every: 10, entities: "all", to: minute(60) })).toMatchObject({ code: "SPINE_AFTER_LOG" });
    expect(await refused({ every: 10, entities: "all" }, { knowledge: "as-served" })).toMatchObject({
      code: "REQUEST_INVALID",
    });
    const timed = await world.file("csv", "carrier,event_timestamp\nk1,2026-03-01\n");
    expect(await refused({ every: 10, entities: { path: timed } })).toMatchObject({ code: "SPINE_INVALID" });
    const empty = await TrainingWorld.open(definitions);
    try {
      const request = { ports: empty.ports, service: "carrier_model" };
      expect(await errorOf(train({ ...request, labels: { everyMicros: 1, entities: "all" } }))).toMatchObject({
        code: "REQUEST_INVALID",
        message: expect.stringContaining("no events yet") as string,
      });
    } finally {
      await empty.close();
    }
  });
});

describe("label rows split by time", () => {
  const labels = (): Promise<string> =>
    world.file(
      "csv",
      `origin,destination,n,t\n${[9, 1, 5, 5, 5, 2, 8, 12, 14, 20].map((at, n) => `B,C,${n},${formatMicros(minute(at))}`).join("\n")}\n`,
    );

  it("are parted by shares, and rows of one time never", async () => {
    const out = world.path("split.csv");
    const set = await world.train(await labels(), { out, timeSplit: { shares: [0.3, 0.4, 0.3] } });
    const lines = (await readFile(out, "utf8")).trim().split("\n");
    expect(lines[0]).toMatch(/^origin,destination,n,t,split,flights_1h/);
    const parts = lines.slice(1).map((line) => line.split(",")[4]);
    expect(parts).toEqual([
      "validation",
      "train",
      ...Array(3).fill("validation"),
      "train",
      "validation",
      "test",
      "test",
      "test",
    ]);
    const at = (tick: number): string => formatMicros(minute(tick));
    expect(set.manifest.splits).toEqual([
      { name: "train", from: null, until: at(5), rows: 2 },
      { name: "validation", from: at(5), until: at(12), rows: 5 },
      { name: "test", from: at(12), until: null, rows: 3 },
    ]);
    expect((await world.train(await labels())).manifest.splits).toBe(null);
  });

  it("are parted at times, which begin a part", async () => {
    const { manifest } = await world.train(await labels(), { timeSplit: { cuts: [minute(8)] } });
    expect(manifest.splits!.map(({ name, rows }) => [name, rows])).toEqual([
      ["train", 5],
      ["test", 5],
    ]);
  });

  it("are refused where the parts are none, or there is such a column", async () => {
    const file = await labels();
    for (const shares of [[1], [0.5, 0.6], [0.5, 0.5, 0], [0.1, 0.2, 0.3, 0.4]])
      expect(await errorOf(world.train(file, { timeSplit: { shares } }))).toMatchObject({ code: "REQUEST_INVALID" });
    for (const cuts of [[], [minute(2), minute(2)], [1, 2, 3].map(minute)])
      expect(await errorOf(world.train(file, { timeSplit: { cuts } }))).toMatchObject({ code: "REQUEST_INVALID" });
    const taken = await world.file("csv", `origin,destination,Split,t\nB,C,1,${formatMicros(minute(8))}\n`);
    expect(await errorOf(world.train(taken, { timeSplit: { shares: [0.5, 0.5] } }))).toMatchObject({
      code: "SPINE_INVALID",
    });
    const none = await world.train(await world.file("csv", "origin,destination,t\n"), {
      timeSplit: { shares: [0.5, 0.5] },
    });
    expect(none.manifest.splits!.map(({ rows }) => rows)).toEqual([0, 0]);
  });
});

describe("a view's TTL", () => {
  it("withholds values in training as in serving, to the microsecond", async () => {
    world.closedUpTo = minute(1000);
    try {
      const at = [31 + 120, 31 + 120 + 1 / 60_000_000].map((tick) => `B,C,${formatMicros(minute(tick))}`);
      const set = await byHand("model", "origin,destination,t", at);
      const mean = set.columns.find(({ name }) => name === "mean_delay")!;
      expect([mean.value(0), mean.value(1)]).toEqual([12.5, null]);
      expect(mean.countStatuses()).toMatchObject({ PRESENT: 1, OUTSIDE_MAX_AGE: 1 });
    } finally {
      world.closedUpTo = null;
    }
  });
});
