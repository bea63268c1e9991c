/** What a reader says where what is known of its source cannot be written, or read. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { OnefoldError } from "../../../src/base/errors.ts";
import { parseMicros } from "../../../src/base/micros.ts";
import { BatchReader } from "../../../src/ingest/batch/batch-reader.ts";
import { batchFolder, readBatchState } from "../../../src/ingest/batch/batch-state.ts";
import { TurnQueue } from "../../../src/base/turn-queue.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { batch, t } from "../../../src/index.ts";

function readerOf(dataDir: string, openEngine: () => Promise<QueryEngine>): BatchReader {
  const source = batch("ratings", {
    columns: { rated_at: t.timestamp() },
    eventTime: "rated_at",
    format: "parquet",
    location: join(dataDir, "*.parquet"),
  });
  return new BatchReader({
    dataDir,
    source,
    clock: new ReplayClock(parseMicros("2026-03-01T00:00:00Z")),
    turns: new TurnQueue(),
    closing: new AbortController().signal,
    openEngine,
    readTable: () => Promise.reject(new Error("it reads no table")),
    environment: () => undefined,
    push: () => Promise.reject(new Error("nothing is pushed")),
  });
}

describe("a reader of a batch source", () => {
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
});
