/** What is expected of a running platform's events and features: told over HTTP, in metrics, as signals, and by the day. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type DurationMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { alert, count, entity, expectation, mean, stream, t, view } from "../../src/index.ts";
import type { SubjectAnswer } from "../../src/monitor/quality/report.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const plant = entity("plant", { plant: t.string() });
const readings = stream("readings", {
  columns: { id: t.string(), plant: t.string(), at: t.timestamp(), celsius: t.float64().nullable() },
  eventTime: "at",
  id: "id",
  expect: [
    expectation("celsius", { range: { min: -50, max: 60 }, severity: "quarantine" }),
    expectation("celsius", { nullRate: { max: 0.25 } }),
    expectation("plant", { oneOf: ["north", "south"], severity: "block" }),
    expectation({ arrivalRate: { min: 3, per: "1h" } }),
  ],
});
const heat = view("heat", {
  entity: plant,
  source: readings,
  features: { readings: count(), mean_1h: mean("celsius").over("1h") },
  expect: [expectation("mean_1h", { range: { max: 25 }, over: "1d" })],
});
const definitions = [plant, readings, heat];

let folder: string;
let platform: Platform;
let clock: ReplayClock;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-quality-"));
  clock = new ReplayClock(parseMicros("2026-03-01T10:00:00Z"));
  await open();
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(): Promise<void> {
  platform = await openPlatform({ dataDir: join(folder, "data"), definitions, clock, checkMillis: 0 });
  await platform.apply(definitions);
}

let serial = 0;
async function push(at: string, celsius: readonly (number | null)[], of = "north"): Promise<void> {
  clock.advanceTo(parseMicros(at));
  await platform.push(
    "readings",
    celsius.map((value) => ({ id: `r${serial++}`, plant: of, at, celsius: value })),
  );
}

async function subject(name: string, day?: string): Promise<SubjectAnswer> {
  const report = await platform.checks.quality.report({ name, ...(day === undefined ? {} : { day }) });
  return report.subjects[0]!;
}

function verdicts({ expectations }: SubjectAnswer): Record<string, unknown> {
  return Object.fromEntries(expectations.map(({ name, value, met }) => [name, [value, met]]));
}

describe("the quality of a source", () => {
  it("is judged over each expectation's stretch up to now, with what was refused", async () => {
    await push("2026-03-01T10:10:00Z", [20, 21, null, 22]);
    await push("2026-03-01T10:20:00Z", [99]);
    await expect(
      platform.push("readings", [{ id: "x", plant: "west", at: "2026-03-01T10:20:00Z", celsius: 1 }]),
    ).rejects.toThrow("plant_oneOf");
    clock.advanceTo(parseMicros("2026-03-01T11:05:00Z"));
    const found = await subject("readings");
    expect(found).toMatchObject({ source: "readings", view: null, day: "2026-03-01" });
    expect(verdicts(found)).toEqual({
      celsius_range: [1 / 4, false],
      celsius_nullRate: [1 / 4, true],
      plant_oneOf: [1 / 5, false],
      arrival_rate: [4, true],
    });
    expect(found.expectations[0]).toMatchObject({ samples: 4, failing: 1, refused: 1, measure: "failing_ratio" });
    // What is refused is still known after a restart, but for pushes that left nothing behind.
    await platform.close();
    await open();
    expect((await subject("readings")).expectations.map(({ refused }) => refused)).toEqual([1, 0, 0, 0]);

    clock.advanceTo(parseMicros("2026-03-01T12:00:00Z"));
    expect(verdicts(await subject("readings"))).toEqual({
      celsius_range: [null, true],
      celsius_nullRate: [null, true],
      plant_oneOf: [null, true],
      arrival_rate: [0, false],
    });
  });

  it("is judged over a day, whatever has been since", async () => {
    await push("2026-03-01T23:00:00Z", [1, 2, 3]);
    await push("2026-03-02T00:00:00Z", [null, 5]);
    await push("2026-03-03T12:00:00Z", [4]);
    const first = await subject("readings", "2026-03-01");
    expect(first.expectations.find(({ name }) => name === "celsius_nullRate")).toMatchObject({
      samples: 3,
      failing: 0,
    });
    const second = await subject("readings", "2026-03-02");
    expect(second.expectations.find(({ name }) => name === "celsius_nullRate")).toMatchObject({
      samples: 2,
      met: false,
    });
    expect(second.expectations.find(({ name }) => name === "arrival_rate")).toMatchObject({ value: 0, met: false });
    await expect(subject("readings", "yesterday")).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    await expect(subject("reading")).rejects.toMatchObject({ code: "DEFINITION_UNKNOWN", candidates: ["readings"] });
  });

  it("has a profile of each day, which a restart and later events carry on", async () => {
    await push("2026-03-01T10:10:00Z", [20, 21, null]);
    expect((await subject("readings")).profile).toHaveLength(4);
    await platform.close();
    await open();
    await push("2026-03-01T10:20:00Z", [22, 23]);
    await push("2026-03-02T10:20:00Z", [7]);
    const byColumn = (found: SubjectAnswer) => Object.fromEntries(found.profile!.map((one) => [one.column, one]));
    expect(byColumn(await subject("readings", "2026-03-01"))["celsius"]).toMatchObject({
      type: "float64",
      count: 5,
      nulls: 1,
      mean: 21.5,
      min: 20,
      max: 23,
      quantiles: { p50: 21 },
      distinct: 4,
      distinct_error: 0,
    });
    expect(byColumn(await subject("readings", "2026-03-02"))).toMatchObject({
      celsius: { count: 1, mean: 7, stddev: null },
      plant: { top: [{ value: "north", count: 1 }], mean: null, quantiles: null },
      at: { min: "2026-03-02T10:20:00Z" },
    });
    expect((await subject("readings", "2026-02-28")).profile).toBeNull();
    // As any engine reads it.
    const engine = await openDuckDb({ threads: 1 });
    const files = join(folder, "data/monitor/quality/sources/readings/*.parquet");
    const rows = await engine.rows(
      `SELECT day, row_count, p50 FROM read_parquet(${sqlText(files)}) WHERE column_name = 'celsius' ORDER BY day`,
    );
    await engine.close();
    expect(rows).toEqual([
      { day: parseMicros("2026-03-01T00:00:00Z"), row_count: 5, p50: 21 },
      { day: parseMicros("2026-03-02T00:00:00Z"), row_count: 1, p50: 7 },
    ]);
  });

  it("has profiles of imported history, made anew where an import rearranges it", async () => {
    const imported = async (name: string, celsius: readonly number[], at: string): Promise<void> => {
      const file = join(folder, name);
      const rows = celsius.map((value) => ({ id: `h${serial++}`, plant: "south", at, celsius: value }));
      await writeFile(file, rows.map((row) => JSON.stringify(row)).join("\n"));
      await platform.importHistory("readings", [file]);
    };
    const celsius = async (day: string) =>
      (await subject("readings", day)).profile?.find(({ column }) => column === "celsius") ?? null;
    await imported("late.ndjson", [1, 2, 3], "2026-02-20T00:00:00Z");
    await push("2026-03-01T10:10:00Z", [20]);
    expect(await celsius("2026-02-20")).toMatchObject({ count: 3, mean: 2 });
    expect(await celsius("2026-02-10")).toBeNull();
    // In front of what is there: offsets are others then.
    await imported("early.ndjson", [5, 6], "2026-02-10T00:00:00Z");
    await imported("same.ndjson", [7], "2026-02-20T00:00:01Z");
    expect(await celsius("2026-02-10")).toMatchObject({ count: 2, mean: 5.5 });
    expect(await celsius("2026-02-20")).toMatchObject({ count: 4, mean: 3.25 });
    expect(await celsius("2026-03-01")).toMatchObject({ count: 1, mean: 20 });
  });

  it("forgets with its events what its profiles hold of an entity", async () => {
    await push("2026-03-01T10:10:00Z", [20, 21], "south");
    await push("2026-03-01T10:10:00Z", [30]);
    const plants = async (): Promise<unknown> =>
      (await subject("readings")).profile!.find(({ column }) => column === "plant")!.top.map(({ value }) => value);
    expect(await plants()).toEqual(["south", "north"]);
    await platform.forget("plant", ["south"]);
    expect(await plants()).toEqual(["north"]);
  });
});

describe("the quality of a view", () => {
  it("is that of its feature rows, judged and profiled", async () => {
    await push("2026-03-01T10:10:00Z", [20, 30]);
    await push("2026-03-01T10:12:00Z", [40, 40], "south");
    clock.advanceTo(parseMicros("2026-03-01T10:20:00Z"));
    await platform.settle();
    const found = await subject("heat");
    expect(found).toMatchObject({ source: null, view: "heat@1" });
    expect(found.expectations).toMatchObject([
      { name: "mean_1h_range", samples: 2, failing: 1, met: false, examples: [{ value: 40, count: 1 }] },
    ]);
    expect(found.profile).toMatchObject([
      { column: "readings", count: 2, mean: 2, min: 2, max: 2 },
      { column: "mean_1h", count: 2, mean: 32.5 },
    ]);
    // Later rows of the day are in its profile, too.
    await push("2026-03-01T10:30:00Z", [1]);
    clock.advanceTo(parseMicros("2026-03-01T10:40:00Z"));
    await platform.settle();
    expect((await subject("heat")).profile).toMatchObject([{ count: 3, max: 3 }, { count: 3 }]);
  });
});

describe("expectations", () => {
  it("are signals, metrics and an answer over HTTP", async () => {
    const server = await platform.serve({ port: 0 });
    await push("2026-03-01T10:10:00Z", [20, 99, 21, null, null]);
    clock.advanceTo(parseMicros("2026-03-01T11:01:00Z"));
    await platform.settle();
    const signals = await platform.checks.quality.signals(clock.now());
    expect(signals.map(({ subject: { expectation: name }, value, isBeyond }) => [name, value, isBeyond])).toEqual([
      ["celsius_range", 1 / 3, true],
      ["celsius_nullRate", 0.5, true],
      ["plant_oneOf", 0, false],
      ["arrival_rate", 4, false],
      ["mean_1h_range", 0, false],
    ]);
    expect(signals[0]).toMatchObject({
      kind: "expectation",
      subject: { source: "readings", feature: "celsius", expectation: "celsius_range" },
      threshold: 0,
      pValue: null,
      samples: 3,
      windowEndMicros: clock.now(),
      detail: { refused: 1, severity: "quarantine" },
    });
    expect(signals[4]!.subject).toEqual({ view: "heat@1", feature: "mean_1h", expectation: "mean_1h_range" });
    const page = await (await fetch(`${server.url}/metrics`)).text();
    expect(page).toContain('onefold_expectation_met{subject="readings",expectation="celsius_nullRate"} 0');
    expect(page).toContain('onefold_expectation_value{subject="readings",expectation="arrival_rate"} 4');
    expect(page).toContain('onefold_expectation_refused_total{source="readings",expectation="celsius_range"} 1');
    const answer = (await (await fetch(`${server.url}/quality?name=readings`)).json()) as { met: boolean };
    expect(answer).toMatchObject({ met: false, day: null, subjects: [{ source: "readings" }] });
    const wrong = await fetch(`${server.url}/quality?name=nothing`);
    expect([wrong.status, await wrong.json()]).toMatchObject([404, { error: { code: "DEFINITION_UNKNOWN" } }]);
    await server.close();
  });

  it("fire an alert where they are not met, by name", async () => {
    await platform.close();
    const all = [...definitions, alert("unexpected", { on: "expectation", expectation: "celsius_range" })];
    platform = await openPlatform({
      dataDir: join(folder, "data"),
      definitions: all,
      clock,
      checkMillis: 0,
      alerts: { everyMicros: 50_000 as DurationMicros },
    });
    await platform.apply(all);
    const server = await platform.serve({ port: 0 });
    await push("2026-03-01T10:10:00Z", [20, 99]);
    const firing = async (): Promise<unknown> => {
      clock.advanceTo((clock.now() + 1_000_000) as Micros);
      const { alerts } = await platform.monitoring.alerts!.list();
      return alerts
        .filter(({ rule, phase }) => rule === "unexpected" && phase === "firing")
        .map(({ found }) => found["subject"]);
    };
    await expect
      .poll(firing, { timeout: 60_000 })
      .toEqual([{ source: "readings", feature: "celsius", expectation: "celsius_range" }]);
    await server.close();
  });

  it("are judged again and again while something is served", async () => {
    await platform.close();
    platform = await openPlatform({ dataDir: join(folder, "data"), definitions, clock, checkMillis: 50 });
    const server = await platform.serve({ port: 0 });
    await push("2026-03-01T10:10:00Z", [20]);
    await expect.poll(() => platform.checks.quality.lastJudged().length, { timeout: 60_000 }).toBe(5);
    const profile = join(folder, "data/monitor/quality/sources/readings/2026-03.parquet");
    const { stat } = await import("node:fs/promises");
    await expect
      .poll(
        () =>
          stat(profile).then(
            ({ size }) => size > 0,
            () => false,
          ),
        { timeout: 60_000 },
      )
      .toBe(true);
    await server.close();
  });
});
