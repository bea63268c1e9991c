/**
 * An event table that is put back to what it was before an import: what the states had of that goes, too, and what is imported
 * then is in them once.
 */
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, entity, openPlatform, type Platform, service, stream, sum, t, view } from "../../src/index.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

const meter = entity("meter", { meter: t.string() });
const readings = stream("readings", {
  columns: { id: t.string(), meter: t.string(), at: t.timestamp(), watts: t.int64() },
  eventTime: "at",
  id: "id",
});
const usage = view("usage", { entity: meter, source: readings, features: { n: count(), watts: sum("watts") } });
const definitions = [meter, readings, usage, service("model", { features: [usage] })];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

const at = (minutes: number): Micros => (START + minutes * MINUTE) as Micros;

function reading(id: string, minutes: number, watts: number): Record<string, unknown> {
  return { id, meter: "m", at: formatMicros(at(minutes)), watts };
}

async function open(): Promise<void> {
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
}

async function importRows(...rows: Record<string, unknown>[]): Promise<void> {
  const file = join(folder, "history.ndjson");
  await writeFile(file, rows.map((row) => JSON.stringify(row)).join("\n"));
  expect((await platform.importHistory("readings", [file])).accepted).toBe(rows.length);
}

async function features(): Promise<Record<string, unknown>> {
  return (await platform.vector("model", { meter: "m" })).features;
}

/** Every state is what the archive and the log make of it. */
async function auditStates(): Promise<void> {
  const { states } = await platform.audit({ states: true });
  for (const each of Object.values(states!)) expect(each).toMatchObject({ states: 1, mismatched: 0, clean: true });
}

const table = (): string => join(folder, "data", "offline", "events", "readings");
const copyOf = (which: string): string => join(folder, which);

async function copy(which: string): Promise<void> {
  await platform.close();
  await cp(table(), copyOf(which), { recursive: true });
  await open();
}

async function putBack(which: string): Promise<void> {
  await platform.close();
  await rm(table(), { recursive: true });
  await cp(copyOf(which), table(), { recursive: true });
  await open();
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-restored-"));
  clock = new ReplayClock(at(60));
  await open();
  await platform.apply(definitions);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

describe("an event table that is put back to before an import", () => {
  it("has its history in the states and no other, and what is imported then, once", async () => {
    await importRows(reading("a", 1, 1), reading("b", 2, 2));
    await copy("before");
    await importRows(reading("c", 3, 4), reading("d", 4, 8));
    expect(await features()).toEqual({ n: 4, watts: 15 });
    await putBack("before");
    expect(await features()).toEqual({ n: 2, watts: 3 });
    await importRows(reading("e", 5, 16));
    expect(await features()).toEqual({ n: 3, watts: 19 });
    await importRows(reading("c", 6, 4));
    expect(await features()).toEqual({ n: 4, watts: 23 });
    await platform.push("readings", [reading("f", 55, 32)]);
    expect(await features()).toEqual({ n: 5, watts: 55 });
    await platform.settle();
    await auditStates();
  });

  it("is computed anew with live events, whichever of the two is put back", async () => {
    await importRows(reading("a", 1, 1), reading("b", 2, 2));
    await copy("before");
    await importRows(reading("c", 3, 4));
    await copy("behind");
    await putBack("before");
    await platform.push("readings", [reading("f", 55, 32)]);
    expect(await features()).toEqual({ n: 3, watts: 35 });
    await putBack("behind");
    expect(await features()).toEqual({ n: 4, watts: 39 });
    await platform.settle();
    await auditStates();
    await putBack("before");
    expect(await features()).toEqual({ n: 3, watts: 35 });
    await platform.settle();
    await auditStates();
  });

  it("opens an epoch anew where the one of the import is gone", async () => {
    await platform.push("readings", [reading("f", 55, 32)]);
    await platform.settle();
    await copy("before");
    await importRows(reading("a", 1, 1));
    expect(await features()).toEqual({ n: 2, watts: 33 });
    await putBack("before");
    expect(await features()).toEqual({ n: 1, watts: 32 });
    await importRows(reading("b", 2, 2));
    expect(await features()).toEqual({ n: 2, watts: 34 });
    await platform.settle();
    await auditStates();
  });

  it("knows the events of as much other history again", async () => {
    await copy("before");
    await importRows(reading("a", 1, 1), reading("b", 2, 2));
    await putBack("before");
    await importRows(reading("a", 1, 1), reading("c", 3, 4));
    expect(await features()).toEqual({ n: 2, watts: 5 });
    expect(await platform.push("readings", [reading("c", 3, 4)])).toMatchObject({ accepted: 0, duplicates: 1 });
    expect(await features()).toEqual({ n: 2, watts: 5 });
  });
});
