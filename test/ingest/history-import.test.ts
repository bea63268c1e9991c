import { randomUUID } from "node:crypto";
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatMicros, parseMicros, type Micros } from "../../src/base/micros.ts";
import type { StreamDefinition } from "../../src/define/definition.ts";
import type { NewDeadLetter } from "../../src/ingest/dead-letters.ts";
import type { LogEvent } from "../../src/ingest/event.ts";
import { type ArchiveFiles, openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import { diskTableStorage } from "../../src/offline-store/table-storage.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import type { Value } from "../../src/schema/value.ts";
import { engine, root, newFolder, source, logOf, openArchive, importFiles, write, historyOf } from "./import-world.ts";
import { codeOf } from "../code-of.ts";
import { appendLive } from "../offline-store/live-events.ts";

/** NDJSON rows at whole seconds after 2001-01-01, keys telling them apart. */
function seconds(prefix: string, ...at: number[]): string {
  return at
    .map((second, i) => JSON.stringify({ key: `${prefix}${i}`, number: second, at: formatMicros(timeOf(second)) }))
    .join("\n");
}
const START = parseMicros("2001-01-01T00:00:00Z");
const timeOf = (second: number): Micros => (START + second * 1e6) as Micros;

async function keysOf(files: ArchiveFiles): Promise<Value[]> {
  return (await historyOf(files)).map((row) => row["key"]!);
}

function liveEvent(offset: number, second: number, id: string | null = null): LogEvent {
  const row: Value[] = [`live${offset}`, null, null, null, null, null, null, timeOf(second)];
  return { offset, eventTime: timeOf(second), knownTime: timeOf(second), id, row };
}

describe("where imported history goes", () => {
  it("is behind the history that is there, in the same epoch, while nothing is live", async () => {
    const archive = await openArchive();
    const first = await importFiles(archive, [await write("ndjson", seconds("a", 3, 1, 2, 1))]);
    expect(first.result).toMatchObject({ accepted: 4, epochOpened: false, epoch: 0 });
    expect(await keysOf(first.result.after)).toEqual(["a1", "a3", "a2", "a0"]);
    const second = await importFiles(archive, [await write("jsonl", seconds("b", 4, 3))]);
    expect(second.result).toMatchObject({ epochOpened: false, epoch: 0 });
    expect(await keysOf(second.result.after)).toEqual(["a1", "a3", "a2", "a0", "b1", "b0"]);
    expect(second.result.after.historyEnd).toBe(HISTORY_BASE + 6);
    expect((await historyOf(second.result.after)).map((row) => row["_offset"])).toEqual(
      [0, 1, 2, 3, 4, 5].map((i) => HISTORY_BASE + i),
    );
  });

  it("is among earlier history in a new epoch, which leaves the old one as it was", async () => {
    const archive = await openArchive();
    await importFiles(archive, [await write("ndjson", seconds("a", 1, 5))]);
    const { result } = await importFiles(archive, [await write("ndjson", seconds("b", 5, 3))]);
    expect(result).toMatchObject({ epochOpened: true, epoch: 1 });
    expect(await keysOf(result.after)).toEqual(["a0", "b1", "a1", "b0"]);
    expect(await keysOf(await archive.files(0))).toEqual(["a0", "a1"]);
  });

  it("is in front of live events, and never behind them", async () => {
    const archive = await openArchive();
    const log = logOf([liveEvent(0, 100), liveEvent(1, 101)]);
    const before = await importFiles(archive, [await write("ndjson", seconds("a", 98, 99))], { log });
    expect(before.result).toMatchObject({ epochOpened: true, epoch: 1 });
    const late = await write("ndjson", seconds("b", 50, 100));
    expect(await codeOf(importFiles(archive, [late], { log }))).toBe("HISTORY_AFTER_LIVE");
    await appendLive(archive, [liveEvent(0, 100)]);
    expect(await codeOf(importFiles(archive, [late]))).toBe("HISTORY_AFTER_LIVE");
    expect(await keysOf(await archive.files())).toEqual(["a0", "a1"]);
  });

  it("follows the declared known time, several files, globs and renamed columns", async () => {
    const archive = await openArchive();
    const name = `globbed-${randomUUID()}`;
    const csv = (rows: string): string => `who,at,seen,extra\n${rows}\n`;
    await writeFile(
      join(root, `${name}-1.csv`),
      csv("one,2001-01-01T00:00:00Z,2001-01-03T00:00:00Z,x\ntwo,2001-01-02,2001-01-02,x"),
    );
    await writeFile(
      join(root, `${name}-2.csv`),
      csv("three,2001-01-01,2001-01-02,x\nfour,2001-01-04,2001-01-03T12:00:00Z,x\nfive,2001-01-04,,x"),
    );
    const progress: string[] = [];
    const { result, letters } = await importFiles(archive, [join(root, `${name}-*.csv`)], {
      knownTimeColumn: "seen",
      columnMap: { key: "who" },
      onProgress: ({ phase, done, total }) => progress.push(`${phase} ${done}/${total}`),
    });
    expect(await keysOf(result.after)).toEqual(["two", "three", "one"]);
    expect((await historyOf(result.after))[2]).toMatchObject({
      _event_time: START,
      _known_time: parseMicros("2001-01-03T00:00:00Z"),
    });
    expect(result.ignoredColumns).toEqual(["extra"]);
    expect(letters.map(({ code, message }) => [code, /globbed-[\w-]+-2\.csv, row \d/.test(message)])).toEqual([
      ["EVENT_TOO_FAR_AHEAD", true],
      ["NULL_NOT_ALLOWED", true],
    ]);
    expect(progress.at(0)).toBe("reading 0/2");
    expect(progress.at(-1)).toBe("writing 1000/1000");
  });

  it("leaves out ids that came earlier: in the import, in the archive, in the log", async () => {
    const identified: StreamDefinition = { ...source, id: "key" };
    const archive = await openArchive(identified);
    const more = { source: identified };
    await importFiles(archive, [await write("ndjson", seconds("a", 1, 2))], more);
    const rows = [
      ["a0", 9],
      ["new", 8],
      ["new", 7],
      ["new", 7],
      ["live", 6],
      ["other", 5],
    ] as const;
    const text = rows
      .map(([id, second], i) => JSON.stringify({ key: id, number: i, at: formatMicros(timeOf(second)) }))
      .join("\n");
    const { result } = await importFiles(archive, [await write("ndjson", text)], {
      ...more,
      log: logOf([liveEvent(0, 50, "live")]),
    });
    expect(result).toMatchObject({ rows: 6, accepted: 2, duplicates: 4, rejected: 0 });
    const stored = await historyOf(result.after, identified);
    expect(stored.map((row) => [row["key"], row["number"], row["_id"]])).toEqual([
      ["a0", 1, "a0"],
      ["a1", 2, "a1"],
      ["other", 5, "other"],
      ["new", 2, "new"],
    ]);
    const again = await importFiles(archive, [await write("ndjson", text)], more);
    expect(again.result).toMatchObject({ accepted: 1, epochOpened: true });
  });
});

describe("an import that cannot be done", () => {
  it("says which file is unreadable, and imports nothing", async () => {
    const archive = await openArchive();
    const good = await write("ndjson", seconds("a", 1));
    const cut = join(root, `cut-${randomUUID()}.parquet`);
    await engine.run(
      `COPY (SELECT 'k' || i AS key, TIMESTAMPTZ '2001-01-01' AS at FROM range(10000) t(i)) TO ${sqlText(cut)} (FORMAT parquet)`,
    );
    await truncate(cut, 5000);
    const unreadable = [
      cut,
      join(root, "absent-*.csv"),
      await write("parquet", "PAR1"),
      await write("ndjson", `${seconds("b", 1)}\n{"key": "torn`),
      await write("csv", 'key,at\n"torn,2001-01-01\n'),
      await write("xlsx", "?"),
    ];
    for (const path of unreadable)
      expect([path, await codeOf(importFiles(archive, [good, path]))]).toEqual([path, "FILE_UNREADABLE"]);
    expect(await codeOf(importFiles(archive, [good, await write("csv", "at,number\n2001-01-01,1\n")]))).toBe(
      "FILE_COLUMN_MISSING",
    );
    expect((await archive.files()).history).toEqual([]);
    // The first line names the columns, however many fields the lines below it have.
    for (const [format, text, line] of [
      ["csv", "key,at\nx,2001-01-01,1\ny,2001-01-02,2\n", 2],
      ["csv", "key,at\nx,2001-01-01\ny,2001-01-02,2\n", 3],
      ["ndjson", `${seconds("b", 1)}\n{"key": "torn\n${seconds("c", 1)}`, 2],
    ] as const) {
      const path = await write(format, text);
      await expect(importFiles(archive, [path])).rejects.toMatchObject({
        code: "FILE_UNREADABLE",
        where: `${path}:${line}`,
      });
    }
    const empty = await importFiles(archive, [await write("csv", "key,at\n")]);
    expect(empty.result).toMatchObject({ rows: 0, accepted: 0, epochOpened: false });
    expect(await engine.rows("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'import_%'")).toEqual([]);
  });

  it("leaves all or nothing behind a crash at any write, and the same dead letters when repeated", async () => {
    const bad = JSON.stringify({ key: null, at: "2001-01-01" });
    const path = await write("ndjson", `${seconds("b", 3, 2)}\n${bad}`);
    for (let failAt = 0; ; failAt++) {
      const folder = newFolder();
      await importFiles(await openArchive(), [await write("ndjson", seconds("a", 1, 5))]);
      let writes = 0;
      const crashing =
        <A extends unknown[], R>(operation: (...args: A) => Promise<R>) =>
        async (...args: A): Promise<R> => {
          if (writes++ >= failAt) throw new Error("power cut");
          return operation(...args);
        };
      const storage = {
        ...diskTableStorage,
        putIfAbsent: crashing(diskTableStorage.putIfAbsent),
        publish: crashing(diskTableStorage.publish),
        makeFolder: crashing(diskTableStorage.makeFolder),
      };
      const crashed = await openEventArchive(openOfflineStore(folder, engine, { storage }), engine, source);
      const letters: string[] = [];
      const deadLetters = { add: async (some: readonly NewDeadLetter[]) => letters.push(...some.map(({ id }) => id!)) };
      const outcome = await codeOf(importFiles(crashed, [path], { deadLetters }));
      const archive = await openArchive();
      expect(await keysOf(await archive.files())).toEqual(
        outcome === "no error" ? ["a0", "b1", "b0", "a1"] : ["a0", "a1"],
      );
      if (outcome === "no error") break;
      await importFiles(archive, [path], { deadLetters });
      expect(await keysOf(await archive.files())).toEqual(["a0", "b1", "b0", "a1"]);
      expect(new Set(letters).size).toBe(1);
      expect(letters).toHaveLength(2);
    }
  });
});
