import { access, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { micros, parseMicros } from "../../src/base/micros.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import type { OfflineTable } from "../../src/offline-store/offline-store.ts";
import { datedStorage } from "./dated-storage.ts";
import { pythonWith } from "../clients/python-at-hand.ts";
import { runPython } from "./python.ts";
import { LETTERS, offlineTableConformance, writeLetters } from "./offline-table-conformance.ts";
import { codeOf } from "../code-of.ts";

const python = pythonWith(["deltalake", "pyarrow"]);

let engine: QueryEngine;
const folders: string[] = [];

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
});
afterAll(async () => {
  await engine.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "onefold-delta-"));
  folders.push(folder);
  return folder;
}

async function appendEach(table: OfflineTable, count: number): Promise<void> {
  const present = (await table.snapshot()).files.length;
  for (let i = present; i < present + count; i++) {
    const file = await writeLetters(engine, table, i, 1);
    await table.commit({ add: [file], txn: [{ applicationId: "app", version: i }], operation: "APPEND" });
  }
}

offlineTableConformance("A Delta table", async () => {
  const folder = await newFolder();
  return { engine, store: () => openOfflineStore(folder, engine) };
});

describe("a Delta table's times", () => {
  it("are those of the clock it was given", async () => {
    const folder = await newFolder();
    const clock = new ReplayClock(parseMicros("2001-06-01T12:00:00Z"));
    const start = clock.now() / 1000;
    const storage = datedStorage(clock);
    const table = await openOfflineStore(folder, engine, { clock, storage }).table("letters", LETTERS);
    await appendEach(table, 2);
    clock.advanceTo(micros(clock.now() + 5_000_000));
    const [first] = (await table.snapshot()).files.map(({ path }) => path.slice(table.folder.length + 1));
    await table.commit({ add: [], remove: [first!], operation: "DELETE" });
    const log = join(table.folder, "_delta_log");
    const times: unknown[] = [];
    for (const name of (await readdir(log)).filter((each) => each.endsWith(".json")).toSorted()) {
      const actions = (await readFile(join(log, name), "utf8")).trim().split("\n");
      for (const action of actions) {
        times.push(
          ...[
            ...action.matchAll(/"(?:timestamp|createdTime|lastUpdated|modificationTime|deletionTimestamp)":(\d+)/g),
          ].map((match) => Number(match[1])),
        );
      }
    }
    expect(times.length).toBeGreaterThan(8);
    expect(new Set(times)).toEqual(new Set([start, start + 5000]));
    expect(await table.vacuum(1000, () => true)).toBe(0);
    clock.advanceTo(micros(clock.now() + 2_000_000));
    expect(await table.vacuum(1000, () => true)).toBe(1);
  });
});

describe("a Delta table's checkpoints", () => {
  it("stand in for the commits before them", async () => {
    const folder = await newFolder();
    const table = await openOfflineStore(folder, engine).table("letters", LETTERS);
    await appendEach(table, 23);
    const log = join(table.folder, "_delta_log");
    for (const name of await readdir(log)) {
      if (/^0+1?\d\.json$/.test(name)) await rm(join(log, name));
    }
    const reopened = (await openOfflineStore(folder, engine).find("letters"))!;
    expect(await reopened.lastTxn("app")).toBe(22);
    expect((await reopened.snapshot()).files).toHaveLength(23);
    expect((await reopened.snapshot(21)).files).toHaveLength(21);
    expect(await codeOf(reopened.snapshot(15))).toBe("TABLE_INVALID");
  });

  it("keep partitions, the one of nothing too, and the bounds of columns", async () => {
    const folder = await newFolder();
    const table = await openOfflineStore(folder, engine).table("letters", {
      ...LETTERS,
      partitionBy: { column: "_month", of: "at" },
    });
    const months = ["2001-01", null, "2001-02"];
    for (let i = 0; i < 10; i++) {
      const file = await writeLetters(engine, table, i, 1);
      await table.commit({ add: [{ ...file, partition: { _month: months[i % 3]! } }], operation: "APPEND" });
    }
    const stray = { add: [await writeLetters(engine, table, 99, 1)], operation: "APPEND" };
    await expect(table.commit(stray)).rejects.toThrow(/says which _month/);
    const log = join(table.folder, "_delta_log");
    for (const name of await readdir(log)) if (/^0+\d\.json$/.test(name)) await rm(join(log, name));
    const reopened = (await openOfflineStore(folder, engine).find("letters"))!;
    const { files, schema } = await reopened.snapshot();
    expect(schema).toEqual({ ...LETTERS, partitionBy: { column: "_month", of: "at" } });
    expect(files).toEqual((await table.snapshot()).files);
    expect(files.map(({ partition, stats }) => [partition, stats?.minValues?.["n"]])).toEqual(
      Array.from({ length: 10 }, (_, i) => [{ _month: months[i % 3] }, i]),
    );
    if (python === undefined) return;
    const script = `
import json, sys
from deltalake import DeltaTable
data = DeltaTable(sys.argv[1]).to_pyarrow_table()
print(json.dumps(sorted(zip(data["n"].to_pylist(), data["_month"].to_pylist()))))
`;
    expect(await runPython(python, script, table.folder)).toEqual(
      Array.from({ length: 10 }, (_, i) => [i, months[i % 3]]),
    );
  });

  it("are passed over where they are damaged", async () => {
    const folder = await newFolder();
    const table = await openOfflineStore(folder, engine).table("letters", LETTERS);
    await appendEach(table, 21);
    const log = join(table.folder, "_delta_log");
    await writeFile(join(log, `${"20".padStart(20, "0")}.checkpoint.parquet`), "PAR1 cut short");
    await writeFile(join(log, "_last_checkpoint"), "{");
    const reopened = (await openOfflineStore(folder, engine).find("letters"))!;
    expect((await reopened.snapshot()).files).toHaveLength(21);
  });
});

const READ_TABLE = `
import json, sys
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
data = table.to_pyarrow_table().sort_by("n")
early = DeltaTable(sys.argv[1], version=3).to_pyarrow_table()
actions = table.get_add_actions(flatten=True)
pruned = table.to_pyarrow_dataset().to_table(filter=__import__("pyarrow.dataset").dataset.field("n") >= 20)
print(json.dumps({
  "version": table.version(),
  "types": [str(field.type) for field in data.schema],
  "n": data["n"].to_pylist(),
  "letters": data["letter"].to_pylist(),
  "at": [int(t.timestamp() * 1000000 + 0.5) for t in data["at"].to_pylist()],
  "parts": data["parts"].to_pylist(),
  "early": early.num_rows,
  "files": len(table.file_uris()),
  "txn": table.transaction_version("app"),
  "pruned": sorted(pruned["n"].to_pylist()),
}))
`;

describe("other engines", () => {
  // In CI the packages are installed, and their absence is a failure.
  it.runIf(python !== undefined || process.env["CI"] !== undefined)(
    "read a Delta table as it is (delta-rs)",
    async () => {
      expect(python, "python3 with deltalake and pyarrow").toBeDefined();
      const folder = await newFolder();
      const table = await openOfflineStore(folder, engine).table("letters", LETTERS);
      await appendEach(table, 22);
      const first = (await table.snapshot()).files[0]!.path.slice(table.folder.length + 1);
      await table.commit({ add: [await writeLetters(engine, table, 22, 3)], remove: [first], operation: "REPLACE" });
      await access(join(table.folder, "_delta_log", "_last_checkpoint"));
      const n = Array.from({ length: 24 }, (_, i) => i + 1);
      expect(await runPython(python!, READ_TABLE, table.folder)).toEqual({
        version: 23,
        types: ["int64", "string", "timestamp[us, tz=UTC]", "list<element: double>"],
        n,
        letters: n.map((i) => String.fromCharCode(97 + (i % 26))),
        at: n.map((i) => i * 1000001),
        parts: n.map((i) => [i, null]),
        early: 3,
        files: 22,
        txn: 21,
        pruned: [20, 21, 22, 23, 24],
      });
    },
  );
});
