/** What a reader says where not even its failure can be written. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { OnefoldError } from "../../../src/base/errors.ts";
import { parseMicros } from "../../../src/base/micros.ts";
import { BatchReader } from "../../../src/ingest/batch/batch-reader.ts";
import { batchFolder, readBatchState } from "../../../src/ingest/batch/batch-state.ts";
import { TurnQueue } from "../../../src/base/turn-queue.ts";
import { batch, t } from "../../../src/index.ts";

describe("a reader of a batch source", () => {
  it("tells of the first failure where the state cannot be written, either, and counts it", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "onefold-batch-reader-"));
    const source = batch("ratings", {
      columns: { rated_at: t.timestamp() },
      eventTime: "rated_at",
      format: "parquet",
      location: join(dataDir, "*.parquet"),
    });
    const folder = batchFolder(dataDir, "ratings");
    const reader = new BatchReader({
      dataDir,
      source,
      clock: new ReplayClock(parseMicros("2026-03-01T00:00:00Z")),
      turns: new TurnQueue(),
      closing: new AbortController().signal,
      openEngine: async () => {
        await rm(folder, { recursive: true });
        await writeFile(folder, "a file where the folder was");
        throw new OnefoldError("SPILL_FULL", "this comes first");
      },
      readTable: () => Promise.reject(new Error("it reads no table")),
      environment: () => undefined,
      push: () => Promise.reject(new Error("nothing is pushed")),
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
});
