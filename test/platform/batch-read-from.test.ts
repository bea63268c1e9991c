/** A batch source that is told behind which value of its watermark it is to be read on. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { batch, openPlatform, type Platform, t } from "../../src/index.ts";

const ratings = (location: string) =>
  batch("ratings", {
    columns: { rider_id: t.string(), rated_at: t.timestamp(), stars: t.int64() },
    eventTime: "rated_at",
    format: "sql",
    watermark: "rated_at",
    location: `SELECT * FROM read_csv('${location}')`,
  });
const FIRST = ["ana,2026-02-01T00:00:00Z,5", "ana,2026-02-01T01:00:00Z,4"];
const NEWEST = "2026-02-01T01:00:00Z";

let folder: string;
let platform: Platform;
const open = async (): Promise<void> => {
  const definitions = [ratings(join(folder, "all.csv"))];
  platform = await openPlatform({ dataDir: join(folder, "data"), definitions });
  await platform.apply(definitions);
};
const write = (rows: readonly string[]): Promise<void> =>
  writeFile(join(folder, "all.csv"), ["rider_id,rated_at,stars", ...rows, ""].join("\n"));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-batch-from-"));
  await write(FIRST);
  await open();
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

it("says where it was read up to an infinite time, and reads on from where it is told", async () => {
  expect(await platform.runBatch("ratings")).toMatchObject({ rows: 2 });
  await platform.close();
  const path = join(folder, "data", "batch", "ratings", "state.json");
  const state = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  // As a version of before wrote it.
  await writeFile(path, JSON.stringify({ ...state, watermark: "infinity" }));
  await open();
  await write([...FIRST, "ana,2026-02-01T02:00:00Z,3"]);
  await expect(platform.runBatch("ratings")).rejects.toMatchObject({
    code: "BATCH_SOURCE_FAILED",
    message: expect.stringContaining("infinite time"),
    hint: expect.stringMatching(/onefold run ratings --from TIME .*, which is 2026-02-01T01:00:00/),
  });
  for (const from of ["yesterday", "infinity", ""]) {
    await expect(platform.runBatch("ratings", { from })).rejects.toMatchObject({ code: "REQUEST_INVALID" });
  }
  // A run that fails leaves the mark where it was.
  await rm(join(folder, "all.csv"));
  await expect(platform.runBatch("ratings", { from: "2026-03-01T00:00:00Z" })).rejects.toMatchObject({
    code: expect.not.stringMatching("REQUEST_INVALID"),
  });
  await write([...FIRST, "ana,2026-02-01T02:00:00Z,3"]);
  await expect(platform.runBatch("ratings")).rejects.toMatchObject({
    message: expect.stringContaining("infinite time"),
  });
  expect(await platform.runBatch("ratings", { from: NEWEST })).toMatchObject({ rows: 1, accepted: 1 });
  expect(await platform.runBatch("ratings")).toMatchObject({ rows: 0 });
});
