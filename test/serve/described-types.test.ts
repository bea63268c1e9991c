/** How types are described over HTTP: with `wide`, of which the JSON is text, and of request data with `nullable`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { entity, last, lastK, onDemand, service, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const driver = entity("driver", { driver_id: t.int64({ wide: true }) });
const trips = stream("trips", {
  columns: { driver_id: t.int64({ wide: true }), at: t.timestamp(), stars: t.int64() },
  eventTime: "at",
});
const rides = view("rides", {
  entity: driver,
  source: trips,
  features: { last_driver: last("driver_id"), last_drivers: lastK("driver_id", 2), last_stars: last("stars") },
});
const quote = onDemand("quote", {
  inputs: [rides.pick("last_stars")],
  request: { fare: t.float64(), order: t.int64({ wide: true }).nullable() },
  outputs: { dear: t.bool() },
  compute: ({ fare }) => ({ dear: fare > 10 }),
});
const pricing = service("pricing", { features: [rides, quote] });
const wide = { type: "int64", wide: true };

let folder: string;
let platform: Platform;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-described-"));
  platform = await openPlatform({ dataDir: folder });
  await platform.apply([driver, trips, rides, quote, pricing]);
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

it("are those of a service's keys, request data and features", async () => {
  expect(await platform.request("GET", "/services/pricing/schema")).toEqual({
    service: "pricing",
    entities: [{ name: "driver", keys: [{ name: "driver_id", ...wide }] }],
    request: [
      { name: "fare", type: "float64", nullable: false },
      { name: "order", ...wide, nullable: true },
    ],
    features: [
      { name: "last_driver", ...wide },
      { name: "last_drivers", type: "array<int64>", wide: true },
      { name: "last_stars", type: "int64" },
      { name: "dear", type: "bool" },
    ],
    fit: null,
  });
});

it("are those of what is registered", async () => {
  const { columns } = await platform.request("GET", "/registry/sources/trips");
  expect(columns).toMatchObject([{ name: "driver_id", ...wide }, { name: "at" }, { name: "stars", type: "int64" }]);
  expect((columns as object[])[2]).not.toHaveProperty("wide");
  const { keys } = await platform.request("GET", "/registry/entities/driver");
  expect(keys).toEqual([{ name: "driver_id", ...wide }]);
  const { features } = await platform.request("GET", "/registry/views/rides");
  expect(features).toMatchObject([wide, { type: "array<int64>", wide: true }, { type: "int64" }]);
  const { request } = await platform.request("GET", "/registry/services/pricing");
  expect(request).toMatchObject([{ name: "fare" }, { name: "order", ...wide, nullable: true }]);
});
