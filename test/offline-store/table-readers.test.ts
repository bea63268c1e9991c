/**
 * Tables in partitions, joined, checkpointed and vacuumed, as other engines read them: delta-rs, DuckDB over a list of
 * files; Spark in spark.test.ts. Each is asked for the same things, and the answers are compared with what was written.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DeltaAction, formatActions, parseActions } from "../../src/offline-store/delta-actions.ts";
import { sqlText, type QueryEngine } from "../../src/offline-store/engine.ts";
import type { OfflineTable } from "../../src/offline-store/offline-store.ts";
import { EXPECTED, type JoinedTable, openJoinedTable } from "./joined-table.ts";
import { pythonWith } from "../clients/python-at-hand.ts";
import { runPython } from "./python.ts";

let opened: JoinedTable;
let engine: QueryEngine;
let table: OfflineTable;
beforeAll(async () => {
  opened = await openJoinedTable();
  ({ engine, table } = opened);
});
afterAll(() => opened.close());

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
const OPTIMIZED_BY_DELTA_RS = `
import json, sys
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
version = table.version()
metrics = table.optimize.compact()
print(json.dumps({"version": version, "removed": metrics["numFilesRemoved"]}))
`;

const RESTORED_BY_DELTA_RS = `
import json, os, sys
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
table.restore(int(os.environ["VERSION"]))
print(json.dumps({"version": table.version()}))
`;

/** Of what these versions say of files. */
async function dropTags(versions: readonly number[]): Promise<void> {
  for (const version of versions) {
    const path = join(table.folder, "_delta_log", `${String(version).padStart(20, "0")}.json`);
    const actions = parseActions(await readFile(path, "utf8"), path).map((action): DeltaAction => {
      if (action.add) return { add: { ...action.add, tags: null } };
      return action.remove ? { remove: { ...action.remove, tags: null } } : action;
    });
    await writeFile(path, formatActions(actions));
  }
}

/** Of files that were joined, each in an entry of its own. */
const LIVE_FILES_MIN = 20;
const python = pythonWith(["deltalake", "pyarrow"]);

describe("delta-rs", () => {
  it.runIf(python !== undefined || process.env["CI"] !== undefined)(
    "reads it, by partitions too, and an earlier version",
    async () => {
      expect(python, "python3 with deltalake and pyarrow").toBeDefined();
      const { version } = await table.snapshot();
      expect(await runPython(python!, READ_BY_DELTA_RS, table.folder)).toEqual({
        ...EXPECTED,
        partitions: ["_month"],
        comment: { comment: "who came" },
        newest: version,
      });
    },
  );

  it.runIf(python !== undefined || process.env["CI"] !== undefined)(
    "reads it as before, and an earlier version, where entries of its log were written again without values",
    async () => {
      const log = join(table.folder, "_delta_log");
      const entries = async (): Promise<string[]> => {
        const names = (await readdir(log)).filter((name) => /^\d+\.json$/.test(name));
        return Promise.all(names.toSorted().map((name) => readFile(join(log, name), "utf8")));
      };
      const before = await entries();
      await opened.erase();
      const after = await entries();
      expect(after).toHaveLength(before.length);
      expect(after.filter((text, i) => text !== before[i]).length).toBeGreaterThan(LIVE_FILES_MIN);
      const { version } = await table.snapshot();
      expect(await runPython(python!, READ_BY_DELTA_RS, table.folder)).toMatchObject({ ...EXPECTED, newest: version });
    },
  );

  it.runIf(python !== undefined || process.env["CI"] !== undefined)(
    "rewrites its files, of which none is read then, and brings them back, each for what it was",
    async () => {
      const before = await (await opened.archive()).files();
      const { version, removed } = (await runPython(python!, OPTIMIZED_BY_DELTA_RS, table.folder)) as {
        readonly version: number;
        readonly removed: number;
      };
      expect(removed).toBe(2);
      const kept = await opened.archive();
      await expect(kept.files()).rejects.toMatchObject({ code: "TABLE_INVALID" });
      await runPython(python!, RESTORED_BY_DELTA_RS, table.folder, { VERSION: String(version) });
      expect(await kept.files(), "by who had it open").toEqual(before);
      expect(await (await opened.archive()).files()).toEqual(before);
      await dropTags([version + 1, version + 2]);
      expect(await (await opened.archive()).files(), "as delta-rs of Python's deltalake 1.2 to 1.4").toEqual(before);
      // Enough for a checkpoint, which says it too.
      await opened.appendMore(11);
      const { history, live, liveEnd } = await (await opened.archive()).files();
      expect(history).toEqual(before.history);
      expect(live.slice(0, before.live.length)).toEqual(before.live);
      expect(liveEnd).toBe(before.liveEnd + 11);
      expect(await runPython(python!, READ_BY_DELTA_RS, table.folder)).toMatchObject({ spent: expect.any(Number) });
    },
  );
});
