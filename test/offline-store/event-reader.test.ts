import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SourceDefinition } from "../../src/define/definition.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText, type FillBatch, type QueryEngine, type TableColumn } from "../../src/offline-store/engine.ts";
import { entityKeySql } from "../../src/offline-store/entity-key-sql.ts";
import type { EventFiles } from "../../src/offline-store/event-archive.ts";
import { readEventsByEntity } from "../../src/offline-store/event-reader.ts";
import { encodeEntityKey } from "../../src/schema/entity-key.ts";
import type { Column, Value, ValueType } from "../../src/schema/value.ts";

let engine: QueryEngine;
let folder: string;

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  folder = await mkdtemp(join(tmpdir(), "onefold-reader-"));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

function asBatch(columns: readonly TableColumn[], rows: readonly (readonly Value[])[]): FillBatch {
  return {
    rowCount: rows.length,
    columns: columns.map((_, c) => rows.map((row) => row[c]!)),
    validity: columns.map(() => null),
  };
}

describe("entity keys in SQL", () => {
  const part = fc.oneof(
    fc.record({
      type: fc.constant<ValueType>({ name: "string" }),
      value: fc.string({ unit: fc.constantFrom("\\", "|", "a", "'", "ä", " ", "日") }),
    }),
    fc.record({ type: fc.constant<ValueType>({ name: "int64" }), value: fc.maxSafeInteger() }),
    fc.record({
      type: fc.constant<ValueType>({ name: "int64", wide: true }),
      value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    }),
    fc.record({ type: fc.constant<ValueType>({ name: "bool" }), value: fc.boolean() }),
    fc.record({ type: fc.constant<ValueType>({ name: "timestamp" }), value: fc.integer({ min: -8e15, max: 8e15 }) }),
    fc.record({ type: fc.constant<ValueType>({ name: "bytes" }), value: fc.uint8Array({ maxLength: 8 }) }),
  );

  it("equal encodeEntityKey for every type, single and composite", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 3 }), async (parts) => {
        const columns = parts.map(({ type }, i) => ({ name: `k${i}`, type }));
        const values = parts.map(({ value }) => value as Value);
        await engine.fill("keys", columns, [asBatch(columns, [values])]);
        const rows = await engine.rows(`SELECT ${entityKeySql(columns)} AS key FROM keys`);
        expect(rows[0]!["key"]).toBe(
          encodeEntityKey(
            values,
            columns.map(({ type }) => type),
          ),
        );
      }),
      { numRuns: 150 },
    );
  });

  it("refuse floats", () => {
    expect(() => entityKeySql([{ name: "x", type: { name: "float64" } }])).toThrow(/cannot be part of an entity key/);
  });
});

describe("events by entity", () => {
  const columns: Column[] = [
    { name: "user", type: { name: "string" }, nullable: true },
    { name: "shop", type: { name: "int64" }, nullable: false },
    { name: "amount", type: { name: "float64" }, nullable: true },
    { name: "gift", type: { name: "bool" }, nullable: true },
    { name: "tags", type: { name: "array", element: { name: "string" } }, nullable: true },
    { name: "at", type: { name: "timestamp" }, nullable: false },
  ];
  const source: SourceDefinition = {
    kind: "stream",
    name: "purchases",
    columns,
    derived: [],
    constraints: [],
    eventTime: "at",
    allowNonFinite: false,
    maxFutureMicros: 60e6,
    dedupeWithinMicros: 1e12,
    availableAfterMicros: 0,
  };
  const stored: TableColumn[] = [
    ...columns,
    { name: "_event_time", type: { name: "timestamp" } },
    { name: "_known_time", type: { name: "timestamp" } },
    { name: "_offset", type: { name: "int64" } },
    { name: "_id", type: { name: "string" } },
  ];

  async function write(
    name: string,
    rows: readonly (readonly Value[])[],
    without?: string,
  ): Promise<EventFiles["live"][number]> {
    const path = join(folder, name);
    await engine.fill("to_write", stored, [asBatch(stored, rows)]);
    const selected = without === undefined ? "*" : `* EXCLUDE (${without})`;
    await engine.run(`COPY (SELECT ${selected} FROM to_write) TO ${sqlText(path)} (FORMAT parquet)`);
    return { path, bytes: 1, rows: rows.length, tags: {} };
  }

  interface Read {
    readonly key: string;
    readonly entity: number;
    readonly offset: number;
    readonly eventTime: number;
    readonly knownTime: number;
    readonly row: readonly Value[];
  }

  async function readAll(
    request: Omit<Parameters<typeof readEventsByEntity>[1], "source" | "withKeys">,
  ): Promise<Read[]> {
    const all: Read[] = [];
    for await (const batch of readEventsByEntity(engine, { ...request, source, withKeys: true })) {
      for (let i = 0; i < batch.rowCount; i++) {
        const row: Value[] = columns.map(() => null);
        batch.fillRow(i, row);
        const entity = batch.entity[i]!;
        all.push({
          key: batch.keyText(entity),
          entity,
          offset: batch.offset[i]!,
          eventTime: batch.eventTime[i]!,
          knownTime: batch.knownTime[i]!,
          row,
        });
      }
    }
    return all;
  }

  const BASE = -(2 ** 52);
  const rowOf = (
    user: string | null,
    shop: number,
    amount: number | null,
    event: number,
    known: number,
    offset: number,
  ): Value[] => [
    user,
    shop,
    amount,
    offset % 2 === 0 ? null : offset % 3 === 0,
    amount === null ? null : [`t${shop}`, user],
    event,
    event,
    known,
    offset,
    null,
  ];

  it("come sorted, typed and complete, from history and live files together", async () => {
    const history = [
      rowOf("b", 1, 0.5, 10, 10, BASE),
      rowOf("a", 2, null, 30, 20, BASE + 1),
      rowOf(null, 1, 1, 5, 25, BASE + 2),
    ];
    const live = [rowOf("b", 1, 2.5, 5, 40, 0), rowOf("a", 2, 1.25, 41, 41, 1), rowOf("a|", 1, 3, 42, 42, 3)];
    const files: EventFiles = {
      epoch: 0,
      history: [await write("h.parquet", history)],
      live: [await write("l.parquet", live)],
      liveEnd: 4,
      historyEnd: BASE + 3,
      lastKnownTime: 42,
    };
    const all = { files, keyColumns: ["user", "shop"], columns: ["amount", "gift", "tags"] };
    const read = await readAll({ ...all, order: "offset" });
    expect(read.map(({ key, offset }) => [key, offset])).toEqual([
      ["a\\||1", 3],
      ["a|2", BASE + 1],
      ["a|2", 1],
      ["b|1", BASE],
      ["b|1", 0],
    ]);
    expect(read.map(({ entity }) => entity)).toEqual([0, 1, 1, 2, 2]);
    expect(read[2]).toEqual({
      key: "a|2",
      entity: 1,
      offset: 1,
      eventTime: 41,
      knownTime: 41,
      row: [null, null, 1.25, false, ["t2", "a"], null],
    });
    expect(read[1]!.row).toEqual([null, null, null, true, null, null]);

    const byTime = await readAll({ ...all, order: "effective-time" });
    expect(byTime.map(({ offset }) => offset)).toEqual([3, BASE + 1, 1, 0, BASE]);

    const bounded = await readAll({ ...all, order: "offset", fromOffset: 0, beforeOffset: 3 });
    expect(bounded.map(({ offset }) => offset)).toEqual([1, 0]);

    await engine.run("CREATE OR REPLACE TABLE chosen AS SELECT 7::INTEGER AS entity_id, 'b|1' AS entity_key");
    const chosen = await readAll({ ...all, order: "offset", restrictTo: "chosen" });
    expect(chosen.map(({ entity, key, offset }) => [entity, key, offset])).toEqual([
      [7, "b|1", BASE],
      [7, "b|1", 0],
    ]);
  });

  it("leave out what comes behind an entity's last time, and do not open files that hold nothing else", async () => {
    const history = [
      rowOf("a", 1, 0, 10, 10, BASE),
      rowOf("b", 1, 0, 12, 12, BASE + 1),
      rowOf("a", 1, 0, 13, 13, BASE + 2),
    ];
    const live = [rowOf("b", 1, 0, 5, 20, 0), rowOf("a", 1, 0, 21, 21, 1)];
    const missing = { path: join(folder, "nowhere.parquet"), bytes: 1, rows: 1, tags: { firstKnownTime: "22" } };
    const files: EventFiles = {
      epoch: 0,
      history: [await write("early.parquet", history)],
      live: [await write("late.parquet", live), missing],
      liveEnd: 3,
      historyEnd: BASE + 3,
      lastKnownTime: 22,
    };
    const all = { files, keyColumns: ["user"], columns: ["amount"], restrictTo: "asked" };
    await engine.run(
      "CREATE OR REPLACE TABLE asked AS FROM (VALUES (0, 'a', 12.0::DOUBLE), (1, 'b', 20.0::DOUBLE)) t(entity_id, entity_key, last_time)",
    );
    const known = await readAll({ ...all, order: "offset", upTo: "known-time" });
    expect(known.map(({ offset }) => offset)).toEqual([BASE, BASE + 1, 0]);
    await engine.run("UPDATE asked SET last_time = 12 WHERE entity_id = 1");
    const withLate = { ...all, files: { ...files, live: files.live.slice(0, 1) } };
    // One that happened early counts in the order of effective times, however late it was known.
    const effective = await readAll({ ...withLate, order: "effective-time", upTo: "effective-time" });
    expect(effective.map(({ offset }) => offset)).toEqual([BASE, 0, BASE + 1]);
    expect((await readAll({ ...withLate, order: "offset", upTo: "known-time" })).map(({ offset }) => offset)).toEqual([
      BASE,
      BASE + 1,
    ]);
  });

  it("read columns that older files lack as null, and no files as no events", async () => {
    const files: EventFiles = {
      epoch: 0,
      history: [],
      live: [await write("older.parquet", [rowOf("u", 1, 1, 1, 1, 0)], "amount")],
      liveEnd: 1,
      historyEnd: BASE,
      lastKnownTime: 1,
    };
    const read = await readAll({ files, keyColumns: ["user"], columns: ["amount", "shop"], order: "offset" });
    expect(read.map(({ row }) => row)).toEqual([[null, 1, null, null, null, null]]);
    const none = await readAll({
      files: { ...files, live: [] },
      keyColumns: ["user"],
      columns: ["amount"],
      order: "offset",
    });
    expect(none).toEqual([]);
  });

  it("follow the keys over many batches", async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => rowOf(`u${i % 7000}`, i % 3, i, i, i, i));
    const file = await write("many.parquet", rows);
    const files: EventFiles = {
      epoch: 0,
      history: [],
      live: [file],
      liveEnd: 20_000,
      historyEnd: BASE,
      lastKnownTime: 1,
    };
    const read = await readAll({ files, keyColumns: ["user"], columns: ["user", "amount"], order: "offset" });
    expect(read).toHaveLength(20_000);
    for (const { key, row, offset } of read) {
      expect(row[0]).toBe(key);
      expect(row[2]).toBe(offset);
    }
  });
});
