/** A source that could not be opened leaves nothing open: the next try opens its log and its tables once more. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { count, entity, openPlatform, service, stream, t, view } from "../../src/index.ts";
import { Archiver } from "../../src/ingest/archiver.ts";
import { SourcePipeline } from "../../src/ingest/source-pipeline.ts";
import { ViewBuilder } from "../../src/platform/view-builder.ts";

const user = entity("user", { user: t.string() });
const visits = stream("visits", { columns: { user: t.string(), at: t.timestamp() }, eventTime: "at" });
const activity = view("activity", { entity: user, source: visits, features: { visits: count() } });
const definitions = [user, visits, activity, service("profile", { features: [activity] })];

it("is closed again where its views cannot be brought up", async () => {
  const folder = await mkdtemp(join(tmpdir(), "onefold-unopened-"));
  const platform = await openPlatform({ dataDir: folder, definitions });
  try {
    const archivers = vi.spyOn(Archiver.prototype, "close");
    const pipelines = vi.spyOn(SourcePipeline.prototype, "close");
    vi.spyOn(ViewBuilder.prototype, "bringUp").mockRejectedValueOnce(new Error("the engine is gone"));
    await expect(platform.apply(definitions)).rejects.toThrow("the engine is gone");
    expect([archivers.mock.calls.length, pipelines.mock.calls.length]).toEqual([1, 1]);
    await platform.apply(definitions);
    expect((await platform.push("visits", [{ user: "u", at: "2026-03-01T00:00:00Z" }])).accepted).toBe(1);
  } finally {
    vi.restoreAllMocks();
    await platform.close();
    await rm(folder, { recursive: true, force: true });
  }
});
