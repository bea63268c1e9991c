/** What a reader says where what is known of its source cannot be written, or read. */
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { OnefoldError } from "../../../src/base/errors.ts";
import { parseMicros } from "../../../src/base/micros.ts";
import { BatchReader } from "../../../src/ingest/batch/batch-reader.ts";
import { batchFolder, type LogMark, readBatchState } from "../../../src/ingest/batch/batch-state.ts";
import { TurnQueue } from "../../../src/base/turn-queue.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { batch, t } from "../../../src/index.ts";

interface Read {
  readonly format?: "parquet" | "csv" | "ndjson";
  readonly location?: string;
  readonly closedLog?: () => LogMark | null;
  readonly push?: (rows: readonly unknown[]) => Promise<never>;
}

function readerOf(dataDir: string, openEngine: () => Promise<QueryEngine>, read: Read = {}): BatchReader {
  const { format = "parquet", location = join(dataDir, "*.parquet") } = read;
  const source = batch("ratings", { columns: { rated_at: t.timestamp() }, eventTime: "rated_at", format, location });
  return new BatchReader({
    dataDir,
    source,
    clock: new ReplayClock(parseMicros("2026-03-01T00:00:00Z")),
    turns: new TurnQueue(),
    closing: new AbortController().signal,
    openEngine,
    readTable: () => Promise.reject(new Error("it reads no table")),
    environment: () => undefined,
    closedLog: read.closedLog ?? (() => null),
    push: read.push ?? (() => Promise.reject(new Error("nothing is pushed"))),
  });
}

describe("a reader of a batch source", () => {
  it("says how far it is complete: to when it was read, no further than its log is closed, and never less", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "onefold-batch-reader-"));
    const now = parseMicros("2026-03-01T00:00:00Z");
    let log: LogMark | null = null;
    const reader = readerOf(dataDir, () => openDuckDb({}), { closedLog: () => log });
    for (const [closed, expected] of [
      [null, null],
      [{ upTo: Number.NEGATIVE_INFINITY, position: 0 }, null],
      [
        { upTo: now - 10, position: 3 },
        { upTo: now - 10, position: 3 },
      ],
      [
        { upTo: now - 20, position: 4 },
        { upTo: now - 10, position: 3 },
      ],
      [
        { upTo: now + 10, position: 5 },
        { upTo: now - 1, position: 5 },
      ],
    ] as const) {
      log = closed;
      await reader.run();
      expect((await readBatchState(dataDir, "ratings")).complete).toEqual(expected);
    }
    await rm(dataDir, { recursive: true });
  });

  it("tells of the first failure where the state cannot be written, either, and counts it", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "onefold-batch-reader-"));
    const folder = batchFolder(dataDir, "ratings");
    const reader = readerOf(dataDir, async () => {
      await rm(folder, { recursive: true });
      await writeFile(folder, "a file where the folder was");
      throw new OnefoldError("SPILL_FULL", "this comes first");
    });
    await expect(reader.run()).rejects.toMatchObject({ code: "SPILL_FULL", message: "this comes first" });
    // It counts all the same, once there is room again.
    await rm(folder);
    expect(await reader.state()).toMatchObject({ failures: 1, runs: [] });
    expect(reader.lastState).toMatchObject({ failures: 1 });
    await reader.dueAt(7);
    expect(await readBatchState(dataDir, "ratings")).toMatchObject({ failures: 1, nextDueAt: 7 });
    expect(await reader.state()).toMatchObject({ failures: 1 });
    await rm(dataDir, { recursive: true });
  });

  it("counts as failures the times that what is known of it cannot be read, until it can", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "onefold-batch-reader-"));
    const reader = readerOf(dataDir, () => openDuckDb({}));
    expect(await reader.run()).toMatchObject({ status: "succeeded", rows: 0 });
    const file = join(batchFolder(dataDir, "ratings"), "state.json");
    const whole = await readFile(file, "utf8");
    await writeFile(file, whole.slice(0, 20));
    for (const failures of [1, 2]) {
      await expect(reader.run()).rejects.toMatchObject({ code: "STORAGE_FAILED", where: file });
      expect(reader.lastState).toMatchObject({ failures, runs: [{ status: "succeeded" }] });
    }
    // Nothing was written over it meanwhile.
    expect(await readFile(file, "utf8")).toBe(whole.slice(0, 20));
    await writeFile(file, whole);
    expect(await reader.run()).toMatchObject({ status: "succeeded" });
    expect(reader.lastState).toMatchObject({ failures: 0 });
    await rm(dataDir, { recursive: true });
  });

  it.each(["csv", "ndjson"] as const)("reads anew what is not whole of its copies of %s", async (format) => {
    const dataDir = await mkdtemp(join(tmpdir(), "onefold-batch-reader-"));
    const location = join(dataDir, `a.${format}`);
    const times = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
    const lines = { csv: ["rated_at", ...times], ndjson: times.map((at) => JSON.stringify({ rated_at: at })) };
    await writeFile(location, lines[format].map((line) => `${line}\n`).join(""));
    const pushed: unknown[] = [];
    const reader = (push: (rows: readonly unknown[]) => Promise<never>): BatchReader =>
      readerOf(dataDir, () => openDuckDb({}), { format, location, push });
    const cut = reader(() => Promise.reject(new Error("the power is cut")));
    await expect(cut.run()).rejects.toThrow("the power is cut");
    const { staged } = await readBatchState(dataDir, "ratings");
    await truncate(join(batchFolder(dataDir, "ratings"), staged!.parts[0]!.name), 0);
    const next = reader(async (rows) => {
      pushed.push(...rows);
      throw new Error("that will do");
    });
    await expect(next.run()).rejects.toThrow("that will do");
    expect(pushed).toEqual(times.map((at) => ({ rated_at: at })));
    await rm(dataDir, { recursive: true });
  });
});
