/**
 * A table of events whose source had columns widened, renamed, dropped and added: read by DuckDB from its files and by
 * delta-rs as it is, with each file of the types that the schema says; an earlier version as it was.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { micros, parseMicros } from "../../src/base/micros.ts";
import type { StreamDefinition } from "../../src/define/definition.ts";
import { stream, t } from "../../src/index.ts";
import {
  type HistoryArchive,
  openEventArchive,
  openOwnEventArchive,
} from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { type QueryEngine, sqlText } from "../../src/offline-store/engine.ts";
import { readEventRowsAt } from "../../src/offline-store/event-rows.ts";
import type { OfflineStore, OfflineTable } from "../../src/offline-store/offline-store.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import type { Value } from "../../src/schema/value.ts";
import { pythonWith } from "../clients/python-at-hand.ts";
import { runPython } from "./python.ts";

const sourceOf = (columns: object): StreamDefinition =>
  stream("visits", { columns: { user: t.string(), at: t.timestamp(), ...columns }, eventTime: "at" } as any) as any;
const before = sourceOf({
  n: t.int64(),
  list: t.array(t.int64()),
  id: t.int64(),
  spent: t.float64(),
  note: t.string(),
});
const after = sourceOf({
  n: t.float64().nullable().widenedFrom(t.int64()),
  list: t.array(t.float64()).widenedFrom(t.array(t.int64())),
  id: t.int64({ wide: true }).widenedFrom(t.int64()),
  paid: t.float64().was("spent"),
  note: t.string().dropped(),
  more: t.bool().nullable(),
});
const AT = parseMicros("2026-01-20T00:00:00Z");
const LARGEST = Number.MAX_SAFE_INTEGER;

let folder: string;
let engine: QueryEngine;
let store: OfflineStore;
let table: OfflineTable;
let archive: HistoryArchive;
let versionBefore: number;
let besideRows: (readonly Value[])[];

async function append(to: HistoryArchive, offset: number, row: readonly Value[]): Promise<void> {
  await appendLive(to, [{ offset, row, eventTime: micros(AT + offset), knownTime: micros(AT + offset), id: null }]);
}

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  folder = await mkdtemp(join(tmpdir(), "onefold-widened-"));
  store = openOfflineStore(folder, engine, { clock: new ReplayClock(AT) });
  const old = await openOwnEventArchive(store, engine, before);
  await old.appendHistory(await old.files(), {
    engine,
    select: `SELECT 'h' AS "user", t AS "at", ${LARGEST}::BIGINT AS n, [1, NULL]::BIGINT[] AS list, 7::BIGINT AS id, 0.5 AS spent,
      'x' AS note, t AS _event_time, t AS _known_time, ${HISTORY_BASE} AS _offset, NULL::VARCHAR AS _id
      FROM (SELECT make_timestamptz(${AT} - 1000) AS t)`,
    firstKnownTime: AT - 1000,
    lastKnownTime: AT - 1000,
  });
  await append(old, 0, ["a", AT, -3, [2], 8, 1.5, "y"]);
  table = (await store.find("events/visits"))!;
  versionBefore = (await table.snapshot()).version;
  // Whoever reads beside the owner reads by the new definitions before the table is widened.
  const beside = await openEventArchive(store, engine, after);
  besideRows = await rowsOf(beside);
  archive = await openOwnEventArchive(store, engine, after);
  await append(archive, 1, ["b", AT, 0.25, [0.5], "9223372036854775807", 2.5, null, true]);
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

const EXPECTED = [
  [LARGEST, [1, null], "7", 0.5, "x", null],
  [-3, [2], "8", 1.5, "y", null],
  [0.25, [0.5], "9223372036854775807", 2.5, null, true],
];

async function rowsOf(of: HistoryArchive): Promise<(readonly Value[])[]> {
  const rows: (readonly Value[])[] = [];
  for await (const batch of readEventRowsAt(engine, await of.files(), after, [HISTORY_BASE, 0, 1])) {
    rows.push(...batch.map(({ stored }) => stored.slice(2)));
  }
  return rows;
}

describe("a table whose columns were widened", () => {
  it("gives old events and new ones as what they are declared now", async () => {
    expect(await rowsOf(archive)).toEqual(EXPECTED);
    expect(besideRows).toEqual(EXPECTED.slice(0, 2));
  });

  it("has no file of other types than its schema says", async () => {
    const { files } = await table.snapshot();
    expect(files).toHaveLength(3);
    for (const { path } of files) {
      const described = await engine.rows(`DESCRIBE SELECT n, list, id, spent FROM read_parquet(${sqlText(path)})`);
      expect(described.map((row) => row["column_type"])).toEqual(["DOUBLE", "DOUBLE[]", "BIGINT", "DOUBLE"]);
    }
    expect((await table.history(2)).map(({ operation }) => operation)).toContain("WIDEN COLUMNS");
  });

  it("is widened once, and an earlier version stays what it was", async () => {
    const { version } = await table.snapshot();
    await openOwnEventArchive(store, engine, after);
    expect((await table.snapshot()).version).toBe(version);
    const { files, schema } = await table.snapshot(versionBefore);
    expect(schema.columns.find(({ name }) => name === "n")!.type).toEqual({ name: "int64" });
    const described = await engine.rows(`DESCRIBE SELECT n FROM read_parquet(${sqlText(files[0]!.path)})`);
    expect(described[0]!["column_type"]).toBe("BIGINT");
  });

  it("is read by DuckDB from the list of its files", async () => {
    const files = (await table.snapshot()).files.map(({ path }) => sqlText(path)).join(", ");
    const rows = await engine.rows(
      `SELECT n, spent FROM read_parquet([${files}], union_by_name = true, hive_partitioning = false) ORDER BY _offset`,
    );
    expect(rows.map(({ n, spent }) => [n, spent])).toEqual(EXPECTED.map(([n, , , spent]) => [n, spent]));
  });
});

const READ_BY_DELTA_RS = `
import json, sys
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
data = table.to_pyarrow_table().sort_by("_offset")
old = DeltaTable(sys.argv[1], version=${"{version}"}).to_pyarrow_table()
print(json.dumps({
  "rows": [list(row) for row in zip(*[data[name].to_pylist() for name in ["n", "list", "spent", "note", "more"]])],
  "ids": [str(value) for value in data["id"].to_pylist()],
  "types": [str(data.schema.field(name).type) for name in ["n", "id"]],
  "old": str(old.schema.field("n").type),
}))
`;
import { appendLive } from "./live-events.ts";
const python = pythonWith(["deltalake", "pyarrow"]);

describe("delta-rs", () => {
  it.runIf(python !== undefined || process.env["CI"] !== undefined)("reads it, and an earlier version", async () => {
    expect(python, "python3 with deltalake and pyarrow").toBeDefined();
    const script = READ_BY_DELTA_RS.replace("{version}", String(versionBefore));
    expect(await runPython(python!, script, table.folder)).toEqual({
      rows: EXPECTED.map(([n, list, , spent, note, more]) => [n, list, spent, note, more]),
      ids: EXPECTED.map(([, , id]) => id),
      types: ["double", "int64"],
      old: "int64",
    });
  });
});
