/**
 * Several services in one training set: each column is to the bit what it is in a set of its service alone, however the
 * set is made, and a view that several of them read is folded once.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import type { Definition, ServiceDefinition } from "../../src/define/definition.ts";
import { count, onDemand, service, standardize, t, view } from "../../src/index.ts";
import { encodeVectorToken } from "../../src/schema/vector-token.ts";
import type { Value } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import type { FeatureColumn } from "../../src/training/feature-columns.ts";
import { fitService } from "../../src/training/fit-service.ts";
import { explainLeakage } from "../../src/training/leakage.ts";
import { sameBits } from "../../src/training/same-bits.ts";
import type { TrainingSet, TrainRequest } from "../../src/training/training-set.ts";
import {
  airport,
  airportFlights,
  carrierFlights,
  carrierModel,
  definitions,
  flight,
  flights,
  model,
  routeFlights,
} from "./flights.ts";
import { errorOf, minute, TrainingWorld, type WorldEvent } from "./training-world.ts";

const SEEDS = process.env["ONEFOLD_SEED"] === undefined ? [1, 2] : [Number(process.env["ONEFOLD_SEED"])];
const EVENTS = 240;
const LABELS = 160;
const MINUTES = 600;

const expected = onDemand("expected", {
  inputs: [routeFlights.pick("delay_sum", "plane"), airportFlights],
  request: { distance: t.float64(), note: t.string().nullable() },
  outputs: { to_mean: t.float64(), text: t.string() },
  compute: ({ delay_sum, plane, mean_delay, distance, note }) => ({
    to_mean: delay_sum === null || mean_delay === null ? null : (distance * delay_sum) / mean_delay,
    text: `${plane ?? ""}${note ?? ""}`,
  }),
});
const dearer = onDemand("dearer", {
  inputs: [airportFlights],
  request: { distance: t.float64().nullable() },
  outputs: { dear: t.bool() },
  compute: ({ distance }) => ({ dear: distance !== null && distance > 3 }),
});

/** Every kind of service; some read the same views, some have the same names for other features. */
const plain = service("plain", { features: [routeFlights.pick("delay_sum", "stops", "seal"), airportFlights] });
const carriers = service("carriers", { features: [carrierFlights, routeFlights.pick("flights_1h")] });
const asked = service("asked", { features: [airportFlights, expected] });
const also = service("also", { features: [dearer, routeFlights.pick("plane", "delay_sum")] });
const fitted = service("fitted", {
  features: [routeFlights.pick("delay_sum", "seats"), airportFlights],
  transform: { delay_sum: standardize("delay_sum"), mean_z: standardize("mean_delay") },
});
const SERVICES: readonly ServiceDefinition[] = [plain, carriers, asked, also, fitted, model, carrierModel];
const ALL: readonly Definition[] = [...definitions, expected, dearer, plain, carriers, asked, also, fitted];

describe("several services in one training set", () => {
  it.each(SEEDS)("have, to the bit, the columns of their own sets (seed %i)", { timeout: 240_000 }, async (seed) => {
    const random = new SeededRandom(seed);
    const world = await TrainingWorld.open(ALL);
    try {
      const events = randomFlights(random);
      await world.history("flights", events.slice(0, 90));
      await world.live("flights", events.slice(90));
      const labels = await randomLabels(world, random);
      await fitService({
        ports: world.ports,
        service: "fitted",
        labels: { path: labels },
        split: { share: 0.6 },
        boundary: "inclusive",
        allowAfterLog: true,
      });
      const services = pickServices(random);
      const choices: Partial<TrainRequest> = {
        knowledge: random.pick(["as-known", "final"] as const),
        boundary: random.pick(["inclusive", "exclusive"] as const),
        allowAfterLog: true,
        withStatuses: true,
        timeSplit: { shares: [0.7, 0.3] },
      };
      const build = (chosen: string | readonly string[], more: Partial<TrainRequest> = {}): Promise<TrainingSet> =>
        world.train(labels, { ...choices, service: chosen, ...more });

      const out = world.path("joint.parquet");
      const joint = await build(services, { out });
      expect(joint.manifest.services.map(({ name }) => name)).toEqual(services);
      const views = joint.manifest.views.map(({ name }) => name);
      expect(new Set(views).size).toBe(views.length);
      for (const name of services) {
        const own = world.path(`${name}.parquet`);
        const alone = await build(name, { out: own });
        expectColumns(joint, alone, name);
        await expectCells(world, joint, { file: out, alone, own, name });
        for (const { name: view, eventsFolded } of alone.manifest.views) {
          expect(joint.manifest.views.find((one) => one.name === view)).toMatchObject({ eventsFolded });
        }
        expect(joint.manifest.services.find((one) => one.name === name)).toEqual(alone.manifest.services[0]);
      }
      const sha256 = await sha256Of(out);
      // From parts on disk, each view's once.
      const parts = world.path("parts.parquet");
      await build(services, { out: parts, resume: true });
      expect(await sha256Of(parts)).toBe(sha256);
    } finally {
      await world.close();
    }
  });

  it.each(SEEDS)(
    "have what each of them served, with a token of each (seed %i)",
    { timeout: 240_000 },
    async (seed) => {
      const random = new SeededRandom(seed);
      const world = await TrainingWorld.open(ALL);
      try {
        await world.live("flights", randomFlights(random));
        const known = await randomLabels(world, random);
        const fit = await fitService({
          ports: world.ports,
          service: "fitted",
          labels: { path: known },
          split: { share: 1 },
          boundary: "inclusive",
          allowAfterLog: true,
        });
        const served: readonly (readonly [string, readonly string[]])[] = [
          ["plain", ["route_flights@1", "airport_flights@1"]],
          ["asked", ["airport_flights@1", "route_flights@1"]],
          ["fitted", ["route_flights@1", "airport_flights@1"]],
        ];
        const token = ([name, views]: (typeof served)[number]): string =>
          encodeVectorToken({
            asOf: minute(random.integer(0, MINUTES)),
            ...(name === "fitted" && random.oneIn(2) ? { fit } : {}),
            reads: views.map((view) => ({
              view,
              epoch: 0,
              lastOffset: random.oneIn(8) ? null : random.integer(0, EVENTS - 1),
            })),
          });
        const string = { name: "string" } as const;
        const columns = [
          { name: "origin", type: string },
          { name: "destination", type: string },
          { name: "distance", type: { name: "float64" } as const },
          { name: "note", type: string },
          ...served.map(([name]) => ({ name: `${name}_token`, type: string })),
        ];
        const rows = Array.from({ length: 60 }, (): Value[] => [
          place(random),
          place(random),
          random.integer(1, 9),
          null,
          ...served.map(token),
        ]);
        const labels = await world.parquet(columns, rows);
        const services = served.map(([name]) => name);
        const joint = await world.train(labels, { service: services, knowledge: "as-served" });
        for (const name of services) {
          const alone = await world.train(labels, {
            service: name,
            knowledge: "as-served",
            labels: { path: labels, tokenColumn: `${name}_token` },
          });
          expectColumns(joint, alone, name);
          expect(joint.manifest.services.find((one) => one.name === name)).toEqual(alone.manifest.services[0]);
        }
        const tokenColumn = { plain: "plain_token", asked: "plain_token", fitted: "nowhere" };
        const named = world.train(labels, {
          service: services,
          knowledge: "as-served",
          labels: { path: labels, tokenColumn },
        });
        expect(await errorOf(named)).toMatchObject({
          code: "SPINE_INVALID",
          candidates: columns.map(({ name }) => name),
        });
      } finally {
        await world.close();
      }
    },
  );

  it("go on from finished parts, and not from those of other services", { timeout: 240_000 }, async () => {
    const world = await TrainingWorld.open(ALL);
    try {
      const random = new SeededRandom(5);
      await world.live("flights", randomFlights(random));
      const labels = await randomLabels(world, random);
      const out = world.path("set.parquet");
      const choices = { boundary: "inclusive", allowAfterLog: true, out, resume: true } as const;
      const controller = new AbortController();
      const ended = world.train(labels, {
        ...choices,
        service: ["plain", "carriers"],
        signal: controller.signal,
        onProgress: ({ phase }) => phase === "writing" && controller.abort(),
      });
      expect(await errorOf(ended)).toMatchObject({ code: "CANCELLED" });
      expect(existsSync(`${out}.parts`)).toBe(true);
      const before: number[] = [];
      const onProgress: TrainRequest["onProgress"] = ({ phase, done }) => {
        if (phase === "events") before.push(done);
      };
      await world.train(labels, { ...choices, service: ["plain", "carriers"], onProgress });
      expect(before.length).toBeGreaterThan(0);
      expect(before.every((done) => done === LABELS)).toBe(true);
    } finally {
      await world.close();
    }
  });

  it("leak what each of them leaks", { timeout: 240_000 }, async () => {
    const world = await TrainingWorld.open(ALL);
    try {
      const random = new SeededRandom(6);
      await world.live("flights", randomFlights(random));
      const labels = { path: await randomLabels(world, random) };
      const report = (chosen: string | readonly string[]): ReturnType<typeof explainLeakage> =>
        explainLeakage({ ports: world.ports, service: chosen, labels, boundary: "inclusive", allowAfterLog: true });
      const joint = await report(["plain", "carriers"]);
      expect(joint.services).toEqual(["plain", "carriers"]);
      expect(joint.rowsChanged).toBeGreaterThan(0);
      for (const name of joint.services) {
        const alone = (await report(name)).features.map(({ examples, ...counts }) => ({
          ...counts,
          rows: examples.map(({ row }) => row),
        }));
        const among = joint.features
          .filter((feature) => feature.service === name)
          .map(({ examples, ...counts }) => ({ ...counts, rows: examples.map(({ row }) => row) }));
        expect(among).toEqual(alone);
      }
    } finally {
      await world.close();
    }
  });
});

describe("services that do not go together", () => {
  const named = view("named", { entity: airport, source: flights, features: { plain__mean_delay: count() } });
  const prefixed = service("prefixed", { features: [named, airportFlights] });
  const distances = onDemand("distances", {
    inputs: [airportFlights],
    request: { distance: t.int64() },
    outputs: { far: t.bool() },
    compute: ({ distance }) => ({ far: distance > 10 }),
  });
  const far = service("far", { features: [distances] });

  it("are refused, and the error says which", { timeout: 240_000 }, async () => {
    const world = await TrainingWorld.open([...ALL, named, prefixed, distances, far]);
    try {
      const labels = await world.file(
        "csv",
        "origin,destination,carrier,distance,note,t\nA,B,c,1,,2026-03-01T00:00:00Z\n",
      );
      const refused = async (request: Partial<TrainRequest>): Promise<unknown> => {
        const { code, message } = await errorOf(world.train(labels, request));
        return [code, message];
      };
      expect(await refused({ service: [] })).toEqual(["REQUEST_INVALID", "no service is named"]);
      expect(await refused({ service: ["plain", "model", "plain"] })).toEqual([
        "REQUEST_INVALID",
        "service plain is named twice",
      ]);
      expect(await refused({ service: ["plain", "modle"] })).toMatchObject(["SERVICE_UNKNOWN", expect.any(String)]);
      expect(await refused({ service: ["asked", "far"] })).toEqual([
        "REQUEST_INVALID",
        "the services' requests differ in the type of a column: asked takes distance as float64, far as int64",
      ]);
      expect(await refused({ service: ["plain", "fitted"], fit: 1 })).toEqual([
        "REQUEST_INVALID",
        "of several services, a fit needs the name of the one it is of",
      ]);
      expect(await refused({ service: ["plain", "model"], fit: { fitted: 1 } })).toEqual([
        "REQUEST_INVALID",
        "a fit is given for fitted, which is none of the services",
      ]);
      expect(await refused({ service: ["plain", "prefixed"] })).toEqual([
        "REQUEST_INVALID",
        "mean_delay of plain and plain__mean_delay of prefixed would both be the column plain__mean_delay",
      ]);
      const clashing = await world.file("csv", "origin,destination,plain__delay_sum,t\nA,B,1,2026-03-01T00:00:00Z\n");
      const clash = world.train(clashing, {
        service: ["plain", "model"],
        allowAfterLog: true,
        out: world.path("x.csv"),
      });
      expect(await errorOf(clash)).toMatchObject({
        code: "SPINE_INVALID",
        message: "the label rows already have a column named plain__delay_sum",
      });
    } finally {
      await world.close();
    }
  });
});

/** Two to four of them, in a random order. */
function pickServices(random: SeededRandom): string[] {
  const left = SERVICES.map(({ name }) => name);
  return Array.from({ length: random.integer(2, 4) }, () => left.splice(random.integer(0, left.length - 1), 1)[0]!);
}

function place(random: SeededRandom): string {
  return random.pick(["A", "B", "C", "", "D|E"]);
}

function randomFlights(random: SeededRandom): WorldEvent[] {
  const knownAt = Array.from({ length: EVENTS }, () => random.next() * MINUTES).sort((a, b) => a - b);
  return knownAt.map((known) =>
    flight(place(random), place(random), known, random.oneIn(6) ? null : random.integer(-40, 90) / 3, {
      happenedAt: random.oneIn(4) ? known - random.integer(1, 90) : known,
      plane: random.oneIn(5) ? null : random.pick(["N1", "n2", "N3"]),
      seats: random.oneIn(3) ? null : random.integer(0, 300),
      cancelled: random.oneIn(2) ? null : random.oneIn(2),
      stops: random.oneIn(2) ? null : ["X", "Y"].slice(random.integer(0, 1)),
      ticket: random.oneIn(2) ? null : "9007199254740993",
      seal: random.oneIn(2) ? null : Uint8Array.of(random.integer(0, 255)),
    }),
  );
}

function randomLabels(world: TrainingWorld, random: SeededRandom): Promise<string> {
  const string = { name: "string" } as const;
  const rows = Array.from({ length: LABELS }, (): Value[] => [
    place(random),
    random.pick(["n1", "n2", "n4"]),
    place(random),
    random.integer(1, 9) / 2,
    random.oneIn(3) ? null : random.pick(["x", "y"]),
    minute(random.next() * (MINUTES + 20)) as Micros,
  ]);
  return world.parquet(
    [
      { name: "origin", type: string },
      { name: "carrier", type: string },
      { name: "destination", type: string },
      { name: "distance", type: { name: "float64" } },
      { name: "note", type: string },
      { name: "t", type: { name: "timestamp" } },
    ],
    rows,
  );
}

/** The columns of one service in a set of several, by the names that it has in its own. */
function columnsIn(joint: TrainingSet, service: string): ReadonlyMap<string, FeatureColumn> {
  return new Map(
    joint.manifest.features.flatMap((feature, i) =>
      feature.service === service ? [[feature.serviceFeature, joint.columns[i]!] as const] : [],
    ),
  );
}

function expectColumns(joint: TrainingSet, alone: TrainingSet, service: string): void {
  const columns = columnsIn(joint, service);
  expect([...columns.keys()]).toEqual(alone.columns.map(({ name }) => name));
  for (const column of alone.columns) {
    const found = columns.get(column.name)!;
    expect(found.type).toEqual(column.type);
    for (let row = 0; row < alone.rowCount; row++) {
      const isSame = sameBits(found.value(row), column.value(row)) && found.status(row) === column.status(row);
      if (isSame) continue;
      expect({ service, column: column.name, row, value: found.value(row), status: found.status(row) }).toEqual({
        value: column.value(row),
        status: column.status(row),
      });
    }
  }
}

/** The same of what was written: types, values and statuses. */
async function expectCells(
  world: TrainingWorld,
  joint: TrainingSet,
  { file, alone, own, name }: { file: string; alone: TrainingSet; own: string; name: string },
): Promise<void> {
  const typesOf = async (path: string): Promise<Map<string, string>> => {
    const rows = await world.engine.rows(`DESCRIBE SELECT * FROM read_parquet('${path}')`);
    return new Map(rows.map((row) => [String(row["column_name"]), String(row["column_type"])]));
  };
  const [a, b] = [await typesOf(file), await typesOf(own)];
  const columns = columnsIn(joint, name);
  const pairs = alone.columns.flatMap(({ name: column }) => {
    const joined = columns.get(column)!.name;
    return [
      [joined, column],
      [`${joined}__status`, `${column}__status`],
    ] as const;
  });
  for (const [joined, column] of pairs) expect([joined, a.get(joined)]).toEqual([joined, b.get(column)]);
  const differing = pairs.map(([joined, column]) => `a."${joined}" IS DISTINCT FROM b."${column}"`).join(" OR ");
  const [count] = await world.engine.rows(
    `SELECT count(*) AS n FROM read_parquet('${file}') a POSITIONAL JOIN read_parquet('${own}') b WHERE ${differing}`,
  );
  expect(Number(count!["n"])).toBe(0);
}

async function sha256Of(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}
