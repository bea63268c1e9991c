/**
 * History imported into a running platform: in front of what is live, and never twice.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { entity } from "../../src/define/entity.ts";
import { count, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

const meter = entity("meter", { meter_id: t.string() });
const readings = stream("readings", {
  columns: { reading_id: t.string(), meter_id: t.string(), read_at: t.timestamp(), watts: t.int64() },
  eventTime: "read_at",
  id: "reading_id",
  dedupeWithin: "1d",
});
const usage = view("usage", {
  version: 1,
  entity: meter,
  source: readings,
  features: { readings_1h: count().over("1h"), watts: sum("watts") },
});
const model = service("model", { features: [usage] });
const definitions = [meter, readings, usage, model];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-import-"));
  clock = new ReplayClock(at(60));
  await open();
  await platform.apply(definitions);
});

afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(): Promise<void> {
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions, servingLogSampleRate: 1 });
}

function at(minutes: number): Micros {
  return (START + minutes * MINUTE) as Micros;
}

function reading(id: string, minutes: number, watts: number): Record<string, unknown> {
  return { reading_id: id, meter_id: "m1", read_at: formatMicros(at(minutes)), watts };
}

async function importRows(...rows: Record<string, unknown>[]): Promise<Awaited<ReturnType<Platform["importHistory"]>>> {
  const file = join(folder, "history.ndjson");
  await writeFile(file, rows.map((row) => JSON.stringify(row)).join("\n"));
  return platform.importHistory("readings", [file]);
}

async function features(): Promise<Record<string, unknown>> {
  return (await platform.vector("model", { meter_id: "m1" })).features;
}

async function expectCleanAudit(): Promise<void> {
  const audit = await platform.audit({ states: true });
  expect(audit).toMatchObject({ mismatched: 0, missing: 0, pending: 0, clean: true });
}

describe("history imported into a running platform", () => {
  it("takes no event twice: not from a second import, nor from a push, nor after opening anew", async () => {
    expect(await importRows(reading("a", 1, 10), reading("b", 2, 20))).toMatchObject({ accepted: 2, duplicates: 0 });
    expect(await importRows(reading("a", 1, 10), reading("c", 3, 30))).toMatchObject({ accepted: 1, duplicates: 1 });
    expect(await platform.push("readings", [reading("a", 1, 10), reading("d", 50, 40)])).toMatchObject({
      accepted: 1,
      duplicates: 1,
    });
    await platform.close();
    await open();
    expect(await platform.push("readings", [reading("c", 3, 30), reading("d", 50, 40)])).toMatchObject({
      accepted: 0,
      duplicates: 2,
    });
    expect(await features()).toEqual({ readings_1h: 4, watts: 100 });
    await expectCleanAudit();
  });

  it("goes in front of live events in a new epoch, and tokens of the old one keep their meaning", async () => {
    await platform.push("readings", [reading("live", 50, 1)]);
    const before = await features();
    expect(before).toEqual({ readings_1h: 1, watts: 1 });
    const report = await importRows(reading("old", 10, 5));
    expect(report).toMatchObject({ accepted: 1, epochOpened: true });
    expect(await features()).toEqual({ readings_1h: 2, watts: 6 });
    await platform.push("readings", [reading("live-2", 55, 2)]);
    expect(await features()).toEqual({ readings_1h: 3, watts: 8 });
    await expectCleanAudit();
    await platform.close();
    await open();
    expect(await features()).toEqual({ readings_1h: 3, watts: 8 });
    await expectCleanAudit();
  });

  it("is refused whole where a row was known after the first live event", async () => {
    await platform.push("readings", [reading("live", 50, 1)]);
    clock.advanceTo(at(90));
    await expect(importRows(reading("old", 10, 5), reading("late", 70, 5))).rejects.toMatchObject({
      code: "HISTORY_AFTER_LIVE",
    });
    expect(await features()).toMatchObject({ watts: 1 });
    await expectCleanAudit();
  });

  it("builds a view that is registered later from history and the live log", async () => {
    await importRows(reading("a", 1, 10));
    await platform.push("readings", [reading("b", 50, 20)]);
    const later = view("usage_total", {
      version: 1,
      entity: meter,
      source: readings,
      features: { total: sum("watts") },
    });
    await platform.apply([meter, readings, later, service("totals", { features: [later] })]);
    expect((await platform.vector("totals", { meter_id: "m1" })).features).toEqual({ total: 30 });
    await platform.push("readings", [reading("c", 55, 5)]);
    expect((await platform.vector("totals", { meter_id: "m1" })).features).toEqual({ total: 35 });
    await expectCleanAudit();
  });

  it("rebuilds a draft whose definition changed", async () => {
    await importRows(reading("a", 1, 10));
    await platform.push("readings", [reading("b", 50, 20)]);
    const draft = (over: "1h" | "30m") =>
      view("draft", {
        version: "dev",
        entity: meter,
        source: readings,
        features: { watts_recent: sum("watts").over(over) },
      });
    const read = async (): Promise<unknown> =>
      (await platform.features("meter", "m1", ["draft@dev:watts_recent"])).features["draft@dev:watts_recent"];
    await platform.apply([meter, readings, draft("1h")]);
    expect(await read()).toBe(30);
    await platform.apply([meter, readings, draft("30m")]);
    expect(await read()).toBe(20);
    await expectCleanAudit();
  });

  it("keeps reading what was stored before a source gained a column", async () => {
    await importRows(reading("a", 1, 10));
    await platform.push("readings", [reading("b", 50, 20)]);
    const wider = stream("readings", {
      columns: {
        reading_id: t.string(),
        meter_id: t.string(),
        read_at: t.timestamp(),
        watts: t.int64(),
        volts: t.float64().nullable(),
      },
      eventTime: "read_at",
      id: "reading_id",
      dedupeWithin: "1d",
    });
    const volts = view("volts", { version: 1, entity: meter, source: wider, features: { volts_seen: count("volts") } });
    await platform.apply([meter, wider, volts, service("volts_model", { features: [volts] })]);
    await platform.push("readings", [{ ...reading("c", 51, 1), volts: 230.5 }]);
    expect(await features()).toEqual({ readings_1h: 3, watts: 31 });
    expect((await platform.vector("volts_model", { meter_id: "m1" })).features).toEqual({ volts_seen: 1 });
    await expectCleanAudit();
    const rows = await platform.offlineRows("events/readings", "_offset");
    expect(rows.map((row) => row["volts"] ?? null)).toEqual([null, null, 230.5]);
  });

  it("refuses a file of events without ids a second time, unless it is meant", async () => {
    const pulses = stream("pulses", { columns: { meter_id: t.string(), at: t.timestamp() }, eventTime: "at" });
    const beats = view("beats", { entity: meter, source: pulses, features: { beats: count() } });
    await platform.apply([meter, pulses, beats, service("beating", { features: [beats] })]);
    const file = join(folder, "pulses.csv");
    await writeFile(file, "meter_id,at\nm1,2026-03-01T00:00:01Z\nm1,2026-03-01T00:00:02Z\n");
    const read = async (): Promise<unknown> => (await platform.vector("beating", { meter_id: "m1" })).features["beats"];
    expect(await platform.importHistory("pulses", [file])).toMatchObject({ accepted: 2 });
    await expect(platform.importHistory("pulses", [file])).rejects.toMatchObject({ code: "IMPORT_REPEATED" });
    expect(await read()).toBe(2);
    await platform.close();
    await open();
    await expect(platform.importHistory("pulses", [file])).rejects.toMatchObject({ code: "IMPORT_REPEATED" });
    expect(await platform.importHistory("pulses", [file], { again: true })).toMatchObject({ accepted: 2 });
    expect(await read()).toBe(4);
  });
});
