/**
 * Apache Spark reads our tables: with `pyspark` from PyPI and Delta's jars, which Maven resolves into `.cache/spark`. Never
 * skipped in CI. Java and Maven come as Kafka's tests bring them.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWhere } from "../services/describe-where.ts";
import { mayBeMissing } from "../services/locate.ts";
import { mavenJars } from "../services/maven-jars.ts";
import { EXPECTED, type JoinedTable, openJoinedTable } from "./joined-table.ts";
import { pythonWith } from "../clients/python-at-hand.ts";
import { runPython } from "./python.ts";

const READ_BY_SPARK = `
import glob, json, os, sys
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]")
  .config("spark.jars", ",".join(glob.glob(os.environ["DELTA_JARS"] + "/*.jar")))
  .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
  .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
  .config("spark.sql.session.timeZone", "UTC").config("spark.ui.enabled", "false")
  .config("spark.sql.shuffle.partitions", "1").config("spark.databricks.delta.snapshotPartitions", "1").config("spark.driver.bindAddress", "127.0.0.1")
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
const describeWithJava = await describeWhere("kafka");
const python = pythonWith(["pyspark"]);

describeWithJava("Spark", () => {
  let opened: JoinedTable;
  beforeAll(async () => {
    opened = await openJoinedTable();
  });
  afterAll(() => opened.close());

  it.skipIf(python === undefined && mayBeMissing())(
    "reads a joined table, by partitions too, and its history",
    { timeout: 900_000 },
    async () => {
      expect(python, "python3 with pyspark 3.5").toBeDefined();
      const { table } = opened;
      // Entries are then written again in place, without values of files that were joined.
      await opened.erase();
      const { version } = await table.snapshot();
      const jars = await mavenJars("spark");
      expect(jars).toEqual({ folder: expect.any(String) });
      const environment = {
        DELTA_JARS: (jars as { folder: string }).folder,
        SPARK_LOCAL_IP: "127.0.0.1",
        // It is over before code that is compiled with more care pays: half the processor time.
        PYSPARK_SUBMIT_ARGS: `--driver-java-options "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" pyspark-shell`,
      };
      expect(await runPython(python!, READ_BY_SPARK, table.folder, environment)).toEqual({
        ...EXPECTED,
        newest: version,
        operation: "ARCHIVE LIVE",
      });
    },
  );
});
