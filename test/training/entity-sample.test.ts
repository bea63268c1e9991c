/** The entities of a preview are those with the newest events, however few of the events are read to find them. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { col, count, entity, last, stream, sum, t, view } from "../../src/index.ts";
import { openLocalEvents, openPlatform, openSampleKeeper, type Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const SEED = Number(process.env["SEED"] ?? 20_260_302);
/** More than are looked at first, so that finding rare entities takes more than one look. */
const HISTORY = 60_000;
const LIVE = 500;

const item = entity("item", { item_id: t.string() });
const sales = stream("sales", {
  columns: { sold_at: t.timestamp(), item_id: t.string(), euros: t.int64(), shelf: t.string() },
  eventTime: "sold_at",
  derive: { place: col("shelf").lower() },
});
const place = entity("place", { place: t.string() });
const bySale = view("by_sale", {
  version: "dev",
  entity: item,
  source: sales,
  features: { n: count(), euros: sum("euros").over("1d"), shelf: last("shelf") },
});
const byPlace = view("by_place", { version: "dev", entity: place, source: sales, features: { n: count() } });
const definitions = [item, place, sales, bySale, byPlace];

let folder: string;
let platform: Platform;
let events: { readonly item_id: string; readonly shelf: string }[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-sample-test-"));
  const clock = new ReplayClock((START + HISTORY * 1_000_000) as Micros);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock });
  await platform.apply([item, place, sales]);
  const random = new SeededRandom(SEED);
  // Three entities make nearly all events; the others sold something long ago.
  events = Array.from({ length: HISTORY + LIVE }, (_, i) => ({
    sold_at: formatMicros((START + i * 1_000_000) as Micros),
    item_id: i < 3000 ? `rare${random.integer(1, 40)}` : `often${random.integer(1, 3)}`,
    euros: random.integer(1, 100),
    shelf: random.pick(["A", "a", "B"]),
  }));
  const file = join(folder, "history.ndjson");
  await writeFile(
    file,
    events
      .slice(0, HISTORY)
      .map((event) => JSON.stringify(event))
      .join("\n"),
  );
  await platform.importHistory("sales", [file]);
  clock.advanceTo((START + (HISTORY + LIVE) * 1_000_000) as Micros);
  await platform.push("sales", events.slice(HISTORY));
});

afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

function newest(entityCount: number, keyOf: (event: (typeof events)[number]) => string): string[] {
  return [...new Set(events.map(keyOf).reverse())].slice(0, entityCount);
}

describe(`a preview's sample (seed ${SEED})`, () => {
  it.each([2, 10, 1000])("of %i is of the newest entities, each with all its events", async (entityCount) => {
    const { rows } = await platform.preview({ view: "by_sale", definitions, entityCount });
    expect(rows.map((row) => row.key)).toEqual(newest(entityCount, (event) => event.item_id));
    for (const row of rows) expect(row.events).toBe(events.filter((event) => event.item_id === row.key).length);
  });

  it("that is kept gives the same values, to other views on its source and key too, and follows the log", async () => {
    const keeper = await openSampleKeeper();
    try {
      for (const [name, entityCount] of [
        ["by_sale", 5],
        ["by_place", 5],
        ["by_sale", 5],
        ["by_sale", 30],
      ] as const) {
        const wanted = { view: name, definitions, entityCount };
        expect(await platform.preview({ ...wanted, keeper })).toEqual(await platform.preview(wanted));
      }
      const wider = view("by_sale", { version: "dev", entity: item, source: sales, features: { most: last("euros") } });
      const wanted = { view: "by_sale", definitions: [item, sales, wider], entityCount: 5 };
      expect(await platform.preview({ ...wanted, keeper })).toEqual(await platform.preview(wanted));

      const fresh = { sold_at: formatMicros(START), item_id: "fresh", euros: 1, shelf: "C" };
      await platform.push("sales", [fresh]);
      events = [...events, fresh];
      const { rows } = await platform.preview({ ...wanted, keeper });
      expect(rows[0]).toMatchObject({ key: "fresh", events: 1, values: [1] });
      expect(rows).toHaveLength(5);
    } finally {
      await keeper.close();
    }
  });

  it("finds entities whose key is derived", async () => {
    const { rows } = await platform.preview({ view: "by_place", definitions, entityCount: 2 });
    expect(rows.map((row) => row.key)).toEqual(newest(2, (event) => event.shelf.toLowerCase()));
    for (const row of rows) {
      expect(row.values).toEqual([events.filter((event) => event.shelf.toLowerCase() === row.key).length]);
    }
  });

  it("of a file is what the same file gives once it is imported, and leaves nothing behind", async () => {
    const temporary = join(folder, "temporary");
    await mkdir(temporary);
    vi.stubEnv("TMPDIR", temporary);
    const local = openLocalEvents({ files: [join(folder, "history.ndjson")] });
    const only = await openPlatform({ dataDir: join(folder, "imported") });
    try {
      await only.apply([item, place, sales]);
      await only.importHistory("sales", [join(folder, "history.ndjson")]);
      for (const name of ["by_sale", "by_place"]) {
        const { files, ...preview } = await local.preview({ view: name, definitions, entityCount: 7 });
        expect(preview).toEqual(await only.preview({ view: name, definitions, entityCount: 7 }));
        expect(files).toEqual({
          rows: HISTORY,
          accepted: HISTORY,
          duplicates: 0,
          rejected: 0,
          reasons: [],
          ignoredColumns: [],
          absentColumns: [],
        });
      }
    } finally {
      await local.close();
      await only.close();
      vi.unstubAllEnvs();
    }
    expect(await readdir(temporary)).toEqual([]);
  });
});
