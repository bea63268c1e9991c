/** What is read is what stands in a file, whatever the file and the folders above it are called. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { batch, count, entity, last, openPlatform, service, stream, t, view } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { Platform } from "../../src/platform.ts";

const user = entity("user", { user: t.string() });
const logins = stream("logins", { columns: { user: t.string(), at: t.timestamp() }, eventTime: "at" });
const loginsOf = view("logins_of", { entity: user, source: logins, features: { n: count() } });
const model = service("model", { features: [loginsOf] });

let folder: string;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-file-names-"));
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

/** `below`: a folder of its own for the data. */
async function open(below = "data"): Promise<void> {
  const columns = {
    user: t.string(),
    at: t.timestamp(),
    day: t.string().nullable(),
    hour: t.int64().nullable(),
  };
  const plain = batch("plain", { columns, eventTime: "at", format: "csv", location: join(folder, "in", "*.csv") });
  const locationOf = (ending: string): string => join(folder, "in", "day=*", "**", `*.${ending}`);
  const byDay = batch("by_day", { columns, eventTime: "at", format: "parquet", location: locationOf("parquet") });
  const byDayCsv = batch("by_day_csv", { columns, eventTime: "at", format: "csv", location: locationOf("csv") });
  const marked = batch("marked", {
    columns,
    eventTime: "at",
    format: "parquet",
    location: locationOf("parquet"),
    watermark: "at",
  });
  const definitions = [
    user,
    logins,
    loginsOf,
    plain,
    byDay,
    byDayCsv,
    marked,
    model,
    view("plains", { entity: user, source: plain, features: { m: count() } }),
    view("parquet", {
      entity: user,
      source: byDay,
      features: { parquet_day: last("day"), parquet_hour: last("hour") },
    }),
    view("csv", { entity: user, source: byDayCsv, features: { csv_day: last("day"), csv_hour: last("hour") } }),
    view("marked", {
      entity: user,
      source: marked,
      features: { marked_day: last("day"), marked_hour: last("hour") },
    }),
  ];
  platform = await openPlatform({ dataDir: join(folder, below), definitions });
  await platform.apply(definitions);
}

const features = async (name: string): Promise<Readonly<Record<string, unknown>>> =>
  (await platform.features("user", name)).features;

async function put(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}

async function parquet(name: string, select: string): Promise<string> {
  const path = await put(name, "");
  const engine = await openDuckDb({});
  await engine.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  await engine.close();
  return path;
}

const ADA = "SELECT 'ada' AS user, '2026-01-01T00:00:00Z'::TIMESTAMPTZ AS at";

describe("a file with a pattern's characters in its name is itself, and not what it matches", () => {
  it.each(["a[1].csv", "a?.csv", "a*.csv"])("%s of a batch source, and of an import", async (name) => {
    await open();
    await put(`in/${name}`, "user,at\nodd,2026-01-01T00:00:00Z\n");
    await put("in/a1.csv", "user,at\nother,2026-01-01T00:00:00Z\n");
    await platform.runBatch("plain");
    await platform.importHistory("logins", [join(folder, "in", "*.csv")]);
    expect([await features("odd"), await features("other")]).toMatchObject([
      { m: 1, n: 1 },
      { m: 1, n: 1 },
    ]);
  });

  it("of an import that names it", async () => {
    await open();
    await put("a1.csv", "user,at\nother,2026-01-01T00:00:00Z\n");
    await platform.importHistory("logins", [await put("a[1].csv", "user,at\nodd,2026-01-01T00:00:00Z\n")]);
    expect([await features("odd"), await features("other")]).toMatchObject([{ n: 1 }, { n: 0 }]);
  });

  it("of label rows", async () => {
    await open();
    const labels = await put("l[1].csv", "user,t\nodd,2026-01-02T00:00:00Z\n");
    await put("l1.csv", "user,t\nother,2026-01-02T00:00:00Z\nother,2026-01-02T00:00:00Z\n");
    const set = await platform.train({ service: "model", labels, boundary: "inclusive", allowAfterLog: true });
    expect(set.rowCount).toBe(1);
  });
});

describe("a folder that is called as a partition is", () => {
  it.each(["csv", "ndjson", "parquet"])("changes no label row of %s", async (ending) => {
    await open();
    const name = `user=zed/l.${ending}`;
    const text = {
      csv: "user,t\nada,2026-01-01T00:00:00Z\n",
      ndjson: '{"user":"ada","t":"2026-01-01T00:00:00Z"}\n',
    }[ending];
    const labels =
      text === undefined ? await parquet(name, `SELECT "user", "at" AS t FROM (${ADA})`) : await put(name, text);
    const out = join(folder, "out.csv");
    await platform.train({ service: "model", labels, boundary: "inclusive", allowAfterLog: true, out });
    expect((await readFile(out, "utf8")).split("\n")[1]).toMatch(/^ada,/);
  });

  it("changes no row of an import", async () => {
    await open();
    await platform.importHistory("logins", [await parquet("user=zed/h.parquet", ADA)]);
    expect([await features("ada"), await features("zed")]).toMatchObject([{ n: 1 }, { n: 0 }]);
  });

  it("changes nothing that a batch source's file has, and gives it what it does not have", async () => {
    await open();
    await parquet("in/day=folder/hour=7/a.parquet", `SELECT *, 'file' AS day FROM (${ADA})`);
    await parquet("in/day=a%2Fb/hour=__HIVE_DEFAULT_PARTITION__/b.parquet", ADA.replace("ada", "ben"));
    await put("in/day=text/hour=8/c.csv", "user,at\nada,2026-01-01T00:00:00Z\n");
    for (const source of ["by_day", "by_day_csv", "marked"]) await platform.runBatch(source);
    expect(await features("ada")).toMatchObject({
      parquet_day: "file",
      parquet_hour: 7,
      csv_day: "text",
      csv_hour: 8,
    });
    expect(await features("ben")).toMatchObject({ parquet_day: "a/b", parquet_hour: null });
    // Of several files read as one, a column that one of them has is that of all.
    expect([await features("ada"), await features("ben")]).toMatchObject([
      { marked_day: "file", marked_hour: 7 },
      { marked_day: null, marked_hour: null },
    ]);
  });

  it("may hold all data, in brackets, too", async () => {
    await open("user=zed/[1]/data");
    await put("in/a.csv", "user,at\nada,2026-01-01T00:00:00Z\n");
    await platform.runBatch("plain");
    await platform.push("logins", [{ user: "ada", at: "2026-01-01T00:00:00Z" }]);
    await platform.importHistory("logins", [await parquet("h.parquet", ADA)]);
    await platform.settle();
    expect(await features("ada")).toMatchObject({ m: 1, n: 2 });
    const labels = await put("l.csv", "user,t\nada,2026-12-01T00:00:00Z\n");
    const set = await platform.train({ service: "model", labels, boundary: "inclusive", allowAfterLog: true });
    expect(set.columns.find(({ name }) => name === "n")!.value(0)).toBe(2);
    expect(await platform.audit({ states: true })).toMatchObject({ clean: true });
  });
});
