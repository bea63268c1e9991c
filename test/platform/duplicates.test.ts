/**
 * An event id gets in once: whichever of two pushes, a push and an import, or two imports is first, across
 * restarts, for exactly as long as the source says.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, entity, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const HOUR = 3_600_000_000;

const meter = entity("meter", { meter_id: t.string() });
const readings = stream("readings", {
  columns: { reading_id: t.string().nullable(), meter_id: t.string(), read_at: t.timestamp(), watts: t.int64() },
  eventTime: "read_at",
  id: "reading_id",
  dedupeWithin: "1h",
});
const usage = view("usage", {
  version: 1,
  entity: meter,
  source: readings,
  features: { readings: count(), watts: sum("watts") },
});
const definitions = [meter, readings, usage, service("model", { features: [usage] })];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-ids-"));
  clock = new ReplayClock(at(0));
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

function at(micros: number): Micros {
  return (START + micros) as Micros;
}

function reading(id: string | null, micros: number, watts = 1): Record<string, unknown> {
  return { reading_id: id, meter_id: "m1", read_at: formatMicros(at(micros)), watts };
}

/** Accepted and duplicates of a push. */
async function push(...rows: Record<string, unknown>[]): Promise<[number, number]> {
  const { accepted, duplicates } = await platform.push("readings", rows);
  return [accepted, duplicates];
}

async function importRows(...rows: Record<string, unknown>[]): Promise<[number, number]> {
  const file = join(folder, "history.ndjson");
  await writeFile(file, rows.map((row) => JSON.stringify(row)).join("\n"));
  const { accepted, duplicates } = await platform.importHistory("readings", [file]);
  return [accepted, duplicates];
}

async function features(): Promise<Record<string, unknown>> {
  return (await platform.vector("model", { meter_id: "m1" })).features;
}

describe("an event id", () => {
  it("gets in once where it is pushed and imported at the same time, and is folded once", async () => {
    await push(reading("first", 0));
    const ids = Array.from({ length: 20_000 }, (_, i) => `r${i}`);
    const importing = importRows(...ids.map((id, i) => reading(id, -1000 - i)));
    let pushed = 0;
    for (let i = 0; i < ids.length; i += 20) {
      pushed += (await push(...ids.slice(i, i + 20).map((id) => reading(id, 0))))[0];
    }
    const [imported, duplicates] = await importing;
    // Both ways were open: neither saw all of them as duplicates.
    expect(pushed).toBeGreaterThan(0);
    expect(imported).toBeGreaterThan(0);
    expect(imported + duplicates).toBe(ids.length);
    expect(imported + pushed).toBe(ids.length);
    expect(await features()).toEqual({ readings: ids.length + 1, watts: ids.length + 1 });
    expect(await platform.audit({ states: true })).toMatchObject({ clean: true });
  });

  it("is remembered for dedupeWithin of the time it became known, to the microsecond, across a restart", async () => {
    expect(await push(reading("a", 0), reading("a", 0))).toEqual([1, 1]);
    clock.advanceTo(at(HOUR));
    expect(await push(reading("a", HOUR))).toEqual([0, 1]);
    await platform.close();
    await open();
    expect(await push(reading("a", HOUR))).toEqual([0, 1]);
    clock.advanceTo(at(HOUR + 1));
    expect(await push(reading("a", HOUR))).toEqual([1, 0]);
    expect(await push(reading("a", HOUR))).toEqual([0, 1]);
    clock.advanceTo(at(2 * HOUR + 1));
    expect(await push(reading("a", HOUR))).toEqual([0, 1]);
  });

  it("of history counts from when history knew it; an import knows ids however old", async () => {
    expect(await importRows(reading("a", -HOUR), reading("b", 0))).toEqual([2, 0]);
    expect(await push(reading("a", 0), reading("b", 0))).toEqual([0, 2]);
    clock.advanceTo(at(1));
    expect(await push(reading("a", 0))).toEqual([1, 0]);
    // "a" is known since the push now: another import, which opens an epoch, does not make it older.
    expect(await importRows(reading("a", -HOUR), reading("c", -HOUR))).toEqual([1, 1]);
    clock.advanceTo(at(HOUR));
    expect(await push(reading("a", 0), reading("b", 0), reading("c", 0))).toEqual([1, 2]);
    expect(await importRows(reading("a", -2 * HOUR), reading("c", -2 * HOUR))).toEqual([0, 2]);
    expect(await features()).toEqual({ readings: 5, watts: 5 });
  });

  it("is compared as it is: control characters, long ones, other forms of one letter; without one nothing is", async () => {
    const long = "x".repeat(100_000);
    const ids = ["", "\u0000", "\u0000\u0000", "a\nb", "a/b", "=a", "#a", "é", "e\u0301", long, `${long}!`];
    expect(await push(...ids.map((id) => reading(id, 0)))).toEqual([ids.length, 0]);
    expect(await push(...ids.map((id) => reading(id, 0)))).toEqual([0, ids.length]);
    await platform.close();
    await open();
    expect(await push(...ids.map((id) => reading(id, 0)))).toEqual([0, ids.length]);
    expect(await importRows(...ids.map((id) => reading(id, 0)))).toEqual([0, ids.length]);
    expect(await push(reading(null, 0), reading(null, 0))).toEqual([2, 0]);
    expect(await push(reading(null, 0))).toEqual([1, 0]);
  });

  it("names one event: the first to come in, whatever a later one holds", async () => {
    await push(reading("a", 0, 10));
    const { outcomes } = await platform.push("readings", [reading("a", 0, 99)]);
    expect(outcomes).toEqual([{ status: "duplicate", id: "a", differs: true }]);
    expect(await features()).toEqual({ readings: 1, watts: 10 });
    // The same after a restart, and within one push; an event that merely comes again does not differ.
    await platform.close();
    await open();
    const again = [
      reading("a", 0, 10),
      reading("a", 1, 10),
      reading("b", 0, 1),
      reading("b", 0, 2),
      reading("b", 0, 1),
    ];
    expect((await platform.push("readings", again)).outcomes).toEqual([
      { status: "duplicate", id: "a" },
      { status: "duplicate", id: "a", differs: true },
      { status: "accepted", offset: 1 },
      { status: "duplicate", id: "b", differs: true },
      { status: "duplicate", id: "b" },
    ]);
    // Of history only the ids are kept.
    expect(await importRows(reading("c", -5, 1))).toEqual([1, 0]);
    expect((await platform.push("readings", [reading("c", 0, 2)])).outcomes).toEqual([
      { status: "duplicate", id: "c" },
    ]);
  });
});
