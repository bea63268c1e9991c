/** Feature rows of past minutes are those that the live fold would have written. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { col, count, entity, last, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const SECOND = 1_000_000;
const SEED = firstSeed();

const meter = entity("meter", { meter_id: t.string() });
const readings = stream("readings", {
  columns: { meter_id: t.string(), read_at: t.timestamp(), watts: t.int64().nullable() },
  eventTime: "read_at",
});
const load = view("load", {
  entity: meter,
  source: readings,
  features: {
    n_1m: count().over("1m"),
    watts: sum("watts").where(col("watts").gt(0)).over("5m"),
    newest: last("watts"),
  },
});

let folder: string;
const opened: Platform[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-materialize-"));
});
afterEach(async () => {
  for (const platform of opened.splice(0)) await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(name: string, clock: ReplayClock): Promise<Platform> {
  const platform = await openPlatform({ dataDir: join(folder, name), clock });
  opened.push(platform);
  return platform;
}

async function rowsOf(platform: Platform): Promise<string[]> {
  const rows = await platform.offlineRows("features/load@1");
  return rows.map((row) => JSON.stringify(Object.entries(row).toSorted())).toSorted();
}

describe("materialize", () => {
  it(`adds the rows that the live fold would have written, and none twice (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    const clocks = [new ReplayClock(START), new ReplayClock(START)] as const;
    const always = await open("always", clocks[0]);
    const later = await open("later", clocks[1]);
    await always.apply([meter, readings, load]);
    await later.apply([meter, readings]);
    let now = START;
    const pushSome = async (): Promise<void> => {
      now = (now + random.integer(1, 50 * SECOND)) as Micros;
      for (const clock of clocks) clock.advanceTo(now);
      const rows = Array.from({ length: random.integer(1, 4) }, () => ({
        meter_id: `m${random.integer(1, 5)}`,
        read_at: formatMicros((now - random.integer(0, 90 * SECOND)) as Micros),
        watts: random.integer(0, 9) === 0 ? null : random.integer(-5, 50),
      }));
      await always.push("readings", rows);
      await later.push("readings", rows);
    };
    for (let i = 0; i < 60; i++) await pushSome();
    // What is archived is folded from there, without a look at its minutes.
    await later.settle();
    await later.apply([meter, readings, load]);
    for (let i = 0; i < 20; i++) await pushSome();
    now = (now + 120 * SECOND) as Micros;
    for (const clock of clocks) clock.advanceTo(now);
    await Promise.all([always.settle(), later.settle()]);
    const expected = await rowsOf(always);
    const before = await rowsOf(later);
    expect(before.length).toBeGreaterThan(0);
    expect(before.length).toBeLessThan(expected.length);

    const middle = (START + 600 * SECOND) as Micros;
    const first = await later.materialize({ name: "load", to: middle });
    const second = await later.materialize({ name: "load", from: middle });
    expect(first).toMatchObject({ view: "load@1" });
    expect(first.rows + second.rows).toBe(expected.length - before.length);
    expect(await rowsOf(later)).toEqual(expected);
    expect(await later.materialize({ name: "load" })).toMatchObject({ rows: 0 });
    expect(await always.materialize({ name: "load" })).toMatchObject({ rows: 0 });
  });

  it("writes those of imported history, and refuses a view without a table", async () => {
    const clock = new ReplayClock((START + 3600 * SECOND) as Micros);
    const platform = await open("history", clock);
    const unwritten = view("unwritten", { entity: meter, source: readings, offline: false, features: { n: count() } });
    await platform.apply([meter, readings, load, unwritten]);
    const file = join(folder, "history.csv");
    const lines = [
      "a,2026-03-01T00:00:10Z,5",
      "a,2026-03-01T00:00:50Z,6",
      "b,2026-03-01T00:01:00Z,7",
      "a,2026-03-01T00:03:00Z,1",
    ];
    await writeFile(file, ["meter_id,read_at,watts", ...lines].join("\n"));
    await platform.importHistory("readings", [file]);
    expect(await platform.materialize({ name: "load" })).toEqual({ view: "load@1", rows: 3 });
    const rows = await platform.offlineRows("features/load@1", "meter_id, _minute");
    expect(rows.map((row) => [row["meter_id"], row["n_1m"], row["newest"]])).toEqual([
      ["a", 2, 6],
      ["a", 1, 1],
      ["b", 1, 7],
    ]);
    await expect(platform.materialize({ name: "unwritten" })).rejects.toMatchObject({ code: "DEFINITION_INVALID" });
    await expect(platform.materialize({ name: "nothing" })).rejects.toMatchObject({ code: "VIEW_UNKNOWN" });
  });
});
