/**
 * Tables in partitions, joined, checkpointed and vacuumed, as other engines read them: delta-rs, DuckDB over a list of
 * files, Spark. Each is asked for the same things, and the answers are compared with what was written.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { micros, parseMicros } from "../../src/base/micros.ts";
import type { SourceDefinition } from "../../src/define/definition.ts";
import { openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText, type QueryEngine } from "../../src/offline-store/engine.ts";
import type { OfflineTable } from "../../src/offline-store/offline-store.ts";
import { compactTable } from "../../src/offline-store/table-compaction.ts";
import { kindOfTable } from "../../src/offline-store/table-kinds.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import { findPython, runPython } from "./python.ts";

const source: SourceDefinition = {
  kind: "stream",
  name: "visits",
  columns: [
    { name: "user", type: { name: "string" }, nullable: false, description: "who came" },
    { name: "spent", type: { name: "float64" }, nullable: true },
    { name: "at", type: { name: "timestamp" }, nullable: false },
    { name: "tags", type: { name: "array", element: { name: "string" } }, nullable: true },
  ],
  derived: [],
  constraints: [],
  eventTime: "at",
  allowNonFinite: false,
  maxFutureMicros: 60e6,
  dedupeWithinMicros: 1e12,
  availableAfterMicros: 0,
};
const DAY = 86_400e6;
const START = parseMicros("2001-01-20T00:00:00.000001Z");

let engine: QueryEngine;
let folder: string;
let table: OfflineTable;

/** One event a day: ten of history, then so many live ones, then one in the third month. */
const LIVE_DAYS = 40;

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  folder = await mkdtemp(join(tmpdir(), "onefold-readers-"));
  const clock = new ReplayClock(START);
  const store = openOfflineStore(folder, engine, { clock });
  const archive = await openEventArchive(store, engine, source);
  await archive.appendHistory(await archive.files(), {
    engine,
    select: `SELECT 'h' || i AS "user", NULL::DOUBLE AS spent, t AS "at", NULL::VARCHAR[] AS tags, t AS _event_time,
      t AS _known_time, ${HISTORY_BASE} + i AS _offset, NULL::VARCHAR AS _id
      FROM (SELECT i, make_timestamptz(${START} - (10 - i) * ${DAY}) AS t FROM range(10) r(i))`,
    firstKnownTime: START - 10 * DAY,
    lastKnownTime: START - DAY,
  });
  const append = async (offset: number): Promise<void> => {
    const time = START + offset * DAY;
    clock.advanceTo(micros(time));
    await archive.appendLive([
      { offset, eventTime: time, knownTime: time, id: null, row: [`u${offset % 3}`, offset / 2, time, ["a", null]] },
    ]);
  };
  for (let offset = 0; offset < LIVE_DAYS; offset++) await append(offset);
  table = (await store.find("events/visits"))!;
  await compactTable(table, engine, kindOfTable((await table.snapshot()).schema)!, 2);
  clock.advanceTo(micros(clock.now() + 3 * DAY));
  await table.cleanUp({ keptMillis: 86_400_000, logKeptMillis: 1e12, isUnneeded: () => true });
  await append(LIVE_DAYS);
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

const all = Array.from({ length: LIVE_DAYS + 11 }, (_, i) => (i < 10 ? HISTORY_BASE + i : i - 10));
/** Events known on the last day of January and before are the first 12 live ones. */
const fromFebruary = all.filter((offset) => offset >= 12);
/** What every engine must find; `early` in the version before the newest. */
const EXPECTED = {
  offsets: all,
  fromFebruary,
  spent: fromFebruary.reduce((sum, offset) => sum + offset / 2, 0),
  months: [
    ["2001-01", 22],
    ["2001-02", 28],
    ["2001-03", 1],
  ],
  early: LIVE_DAYS + 10,
  first: START - 10 * DAY,
  filesFromFebruary: 2,
};

describe("a table in partitions that was joined, checkpointed and vacuumed", () => {
  it("has a file a month and segment, and a checkpoint", async () => {
    const { files } = await table.snapshot();
    expect(files.map(({ partition, rows }) => `${partition?.["_month"]}: ${rows}`).toSorted()).toEqual([
      "2001-01: 10",
      "2001-01: 12",
      "2001-02: 28",
      "2001-03: 1",
    ]);
    expect(await readdir(join(table.folder, "_delta_log"))).toContain("_last_checkpoint");
  });

  it("is read by DuckDB from the list of its files", async () => {
    const files = (await table.snapshot()).files.map(({ path }) => sqlText(path)).join(", ");
    const relation = `read_parquet([${files}], union_by_name = true, hive_partitioning = true, hive_types = {'_month': VARCHAR})`;
    const rows = await engine.rows(`SELECT _offset, spent, epoch_us("at") AS at FROM ${relation} ORDER BY _offset`);
    const february = await engine.rows(`SELECT _offset FROM ${relation} WHERE _month >= '2001-02' ORDER BY _offset`);
    const months = await engine.rows(`SELECT _month AS month, count(*) AS n FROM ${relation} GROUP BY 1 ORDER BY 1`);
    expect({
      offsets: rows.map((row) => row["_offset"]),
      fromFebruary: february.map((row) => row["_offset"]),
      months: months.map(({ month, n }) => [month, n]),
      first: rows[0]!["at"],
    }).toEqual({
      offsets: EXPECTED.offsets,
      fromFebruary: EXPECTED.fromFebruary,
      months: EXPECTED.months,
      first: EXPECTED.first,
    });
  });
});

const READ_BY_DELTA_RS = `
import json, sys
from collections import Counter
import pyarrow.dataset as ds
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
data = table.to_pyarrow_table().sort_by("_offset")
february = table.to_pyarrow_table(filters=[("_month", ">=", "2001-02")]).sort_by("_offset")
filtered = table.to_pyarrow_dataset().to_table(filter=ds.field("_offset") >= 12)
print(json.dumps({
  "offsets": data["_offset"].to_pylist(),
  "fromFebruary": february["_offset"].to_pylist(),
  "spent": sum(filtered["spent"].to_pylist()),
  "months": sorted([list(each) for each in Counter(data["_month"].to_pylist()).items()]),
  "first": round(data["at"].to_pylist()[0].timestamp() * 1000000),
  "filesFromFebruary": len(list(table.to_pyarrow_dataset().get_fragments(filter=ds.field("_month") >= "2001-02"))),
  "partitions": table.metadata().partition_columns,
  "comment": table.schema().fields[0].metadata,
  "newest": table.version(),
  "early": DeltaTable(sys.argv[1], version=table.version() - 1).to_pyarrow_table().num_rows,
}))
`;
const python = await findPython("deltalake, pyarrow");

describe("delta-rs", () => {
  it.runIf(python !== null || process.env["CI"] !== undefined)(
    "reads it, by partitions too, and an earlier version",
    async () => {
      expect(python, "python3 with deltalake and pyarrow").not.toBeNull();
      const { version } = await table.snapshot();
      expect(await runPython(python!, READ_BY_DELTA_RS, table.folder)).toEqual({
        ...EXPECTED,
        partitions: ["_month"],
        comment: { comment: "who came" },
        newest: version,
      });
    },
  );
});

const READ_BY_SPARK = `
import glob, json, os, sys
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]")
  .config("spark.jars", ",".join(glob.glob(os.environ["ONEFOLD_SPARK"] + "/*.jar")))
  .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
  .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
  .config("spark.sql.session.timeZone", "UTC").config("spark.ui.enabled", "false")
  .config("spark.sql.shuffle.partitions", "1").config("spark.driver.bindAddress", "127.0.0.1")
  .config("spark.driver.host", "127.0.0.1").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
table = spark.read.format("delta").load(sys.argv[1])
february = table.where("_month >= '2001-02'")
history = spark.sql("DESCRIBE HISTORY delta.\`" + sys.argv[1] + "\`").collect()
print(json.dumps({
  "offsets": [row[0] for row in table.select("_offset").orderBy("_offset").collect()],
  "fromFebruary": [row[0] for row in february.select("_offset").orderBy("_offset").collect()],
  "spent": table.where("_offset >= 12").selectExpr("sum(spent)").collect()[0][0],
  "months": [[row[0], row[1]] for row in table.groupBy("_month").count().orderBy("_month").collect()],
  "first": table.orderBy("_offset").selectExpr("unix_micros(at)").first()[0],
  "filesFromFebruary": len(february.inputFiles()),
  "early": spark.read.format("delta").option("versionAsOf", history[1]["version"]).load(sys.argv[1]).count(),
  "newest": max(row["version"] for row in history),
  "operation": history[0]["operation"],
}))
`;
const spark = process.env["ONEFOLD_SPARK"];

// It takes a minute to start, and 300 MB to install: see CONTRIBUTING.md.
if (spark !== undefined) {
  describe("Spark", () => {
    it("reads it, by partitions too, and its history", { timeout: 600_000 }, async () => {
      const withSpark = await findPython("pyspark");
      const { version } = await table.snapshot();
      expect(await runPython(withSpark!, READ_BY_SPARK, table.folder, { ONEFOLD_SPARK: spark })).toEqual({
        ...EXPECTED,
        newest: version,
        operation: "ARCHIVE LIVE",
      });
    });
  });
}
