/**
 * Feast's own Python SDK against the server, where a Python with `feast` is at hand: named by ONEFOLD_PYTHON, or
 * the machine's. Never skipped in CI, which installs it.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { col, column, count, entity, last, lastK, mean, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { HttpServer } from "../../src/serve/http.ts";
import { pythonWith } from "../clients/python-at-hand.ts";

const python = pythonWith(["feast", "pandas"]);

const driver = entity("driver", { driver_id: t.int64({ wide: true }) });
const trips = stream("trips", {
  columns: {
    trip_id: t.string(),
    driver_id: t.int64({ wide: true }),
    ended_at: t.timestamp(),
    fare: t.float64(),
    stars: t.int64().nullable(),
  },
  eventTime: "ended_at",
  id: "trip_id",
  derive: { dear: col("fare").gt(20) },
});
const driverTrips = view("driver_trips", {
  entity: driver,
  source: trips,
  features: {
    trips_1h: count().over("1h"),
    fare_1h: sum("fare").over("1h"),
    mean_fare: mean("fare"),
    last_stars: last("stars"),
    fresh_fare: last("fare").ttl("1h"),
    last_trip: column("trip_id"),
    fares: lastK("fare", 3),
    last_at: last("ended_at"),
    is_dear: last("dear"),
    account: last("driver_id"),
  },
});
const checks = stream("checks", {
  columns: { driver_id: t.int64({ wide: true }), at: t.timestamp(), score: t.float64() },
  eventTime: "at",
  allowNonFinite: true,
});
const driverChecks = view("driver_checks", {
  entity: driver,
  source: checks,
  features: { last_score: last("score"), scores: lastK("score", 3) },
});
const pricing = service("pricing", { features: [driverTrips] });
const definitions = [driver, trips, driverTrips, checks, driverChecks, pricing];

/** The last line that a script of this folder writes. */
async function saidBy(script: string, ...args: readonly string[]): Promise<string> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { stdout } = await promisify(execFile)(python ?? "python3", ["-W", "ignore", path, ...args], {
    maxBuffer: 1 << 26,
  });
  return stdout.trim().split("\n").at(-1)!;
}

describe.skipIf(python === undefined && process.env["CI"] === undefined)("Feast's SDK", () => {
  let folder: string;
  let platform: Platform;
  let server: HttpServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "onefold-feast-"));
    const clock = new ReplayClock(parseMicros("2026-03-01T12:00:10Z"));
    platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
    await platform.apply(definitions);
    server = await platform.serve({ port: 0 });
  });
  afterAll(async () => {
    await server.close();
    await platform.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("pushes rows and reads features, with their types and statuses", async () => {
    const said = await saidBy("feast-client.py", server.url, folder);
    const got = JSON.parse(said.replace(/\b9007199254740993\b/g, '"9007199254740993"')) as {
      readonly by_reference: Record<string, unknown[]>;
      readonly types: Record<string, unknown[]>;
      readonly statuses: Record<string, number[]>;
      readonly by_service: Record<string, unknown[]>;
      readonly unknown: string;
    };
    expect(got.by_reference).toEqual({
      driver_id: [1001, "9007199254740993", 5],
      trips_1h: [2, 1, 0],
      // a float is a float, though whole; and a big int64 keeps its digits
      fare_1h: [40, 7, null],
      mean_fare: [20, 7, null],
      last_stars: [5, 1, null],
      last_trip: ["t2", "t3", null],
      fares: [[10, 30], [7], null],
      last_at: expect.anything(),
      is_dear: [true, false, null],
      account: [1001, "9007199254740993", null],
    });
    expect(got.types).toMatchObject({
      trips_1h: ["int64_val", "int64_val", "int64_val"],
      fare_1h: ["double_val", "double_val", null],
      fares: ["double_list_val", "double_list_val", null],
      last_trip: ["string_val", "string_val", null],
      is_dear: ["bool_val", "bool_val", null],
      account: ["int64_val", "int64_val", null],
    });
    // FieldStatus of Feast: 1 PRESENT, 2 NULL_VALUE, 3 NOT_FOUND
    expect(got.statuses["fare_1h"]).toEqual([1, 1, 3]);
    expect(got.by_service["driver_trips__fare_1h"]).toEqual([40]);
    expect(got.unknown).toContain("FEATURE_UNKNOWN");
  }, 240_000);

  it("is used as the page says", async () => {
    const page = await readFile(new URL("../../docs/http.md", import.meta.url), "utf8");
    const script = await readFile(new URL("feast-client.py", import.meta.url), "utf8");
    const shown = [...page.matchAll(/```python\n([^]*?)```/g)].map(([, code]) => code!);
    expect(shown).toHaveLength(2);
    for (const code of shown) expect(script).toContain(code);
  });

  it("has requests and answers of its own code that are these, for each status and each way to push", async () => {
    const got = JSON.parse(await saidBy("feast-wire.py", server.url)) as Record<string, unknown> & {
      readonly names: readonly string[];
      readonly values: readonly (readonly [string, unknown][])[];
      readonly statuses: readonly string[][];
      readonly event_timestamps: readonly string[][];
    };
    expect(got).toMatchObject({
      pushed: { online: [200, "null"], offline: [200, "null"], online_and_offline: [200, "null"] },
      pushed_by_tool: ["ok", "ok", "ok"],
      written: [200, "null"],
      refused: [422, "PUSH_SOURCE_UNKNOWN"],
      is_of_the_model: true,
      is_what_feast_writes: true,
      not_finite: {
        last_score: ["NaN", "Infinity", "-Infinity", 2],
        scores: [["NaN"], ["Infinity"], ["-Infinity"], [2]],
        is_what_feast_writes: true,
      },
    });
    const byName = Object.fromEntries(
      got.names.map((name, i) => [name, got.values[i]!.map(([type, value]) => (type === "null_val" ? null : value))]),
    );
    // Pushed in each of three ways; with a null; three hours ago; never; by the tool, a big int64.
    expect(byName).toEqual({
      driver_id: ["2001", "2002", "2003", "2004", "9007199254740995"],
      trips_1h: ["3", "1", "0", "0", "3"],
      fare_1h: [30, 7, null, null, 6],
      last_stars: ["4", null, "3", null, "1"],
      fresh_fare: [10, 7, null, null, 2],
      last_trip: ["p2", "w1", "w2", null, "m2"],
      fares: [[10, 10, 10], [7], [1.5], null, [2, 2, 2]],
      last_at: ["1772366400", "1772366400", "1772355600", null, "1772366400"],
      is_dear: [false, false, false, null, false],
      account: ["2001", "2002", "2003", null, "9007199254740995"],
    });
    const types = Object.fromEntries(got.names.map((name, i) => [name, got.values[i]![0]![0]]));
    expect(types).toEqual({
      driver_id: "int64_val",
      trips_1h: "int64_val",
      fare_1h: "double_val",
      last_stars: "int64_val",
      fresh_fare: "double_val",
      last_trip: "string_val",
      fares: "double_list_val",
      last_at: "int64_val",
      is_dear: "bool_val",
      account: "int64_val",
    });
    const statuses = Object.fromEntries(got.names.map((name, i) => [name, got.statuses[i]]));
    expect(statuses).toMatchObject({
      trips_1h: ["PRESENT", "PRESENT", "PRESENT", "NOT_FOUND", "PRESENT"],
      fare_1h: ["PRESENT", "PRESENT", "NULL_VALUE", "NOT_FOUND", "PRESENT"],
      last_stars: ["PRESENT", "NULL_VALUE", "PRESENT", "NOT_FOUND", "PRESENT"],
      fresh_fare: ["PRESENT", "PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND", "PRESENT"],
    });
    const [now, before, never] = ["2026-03-01T12:00:00Z", "2026-03-01T09:00:00Z", "1970-01-01T00:00:00Z"];
    for (const times of got.event_timestamps.slice(1)) expect(times).toEqual([now, now, before, never, now]);
  }, 240_000);
});
