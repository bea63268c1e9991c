import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { packageVersion } from "../../src/base/version.ts";
import { count, entity, stream, t, view } from "../../src/index.ts";
import { openPlatform } from "../../src/platform.ts";
import { markFormat } from "../../src/platform/folder-format.ts";
import { startKafkaWorker } from "../../src/platform/kafka/kafka-worker.ts";
import { openOnlineServer } from "../../src/platform/online/online-server.ts";

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp() },
  eventTime: "at",
});
const definitions = [user, visits, view("visitor", { entity: user, source: visits, features: { visits: count() } })];

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "onefold-format-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const mark = (): string => join(dataDir, "format.json");

/** A folder with an event in its log. */
async function written(): Promise<void> {
  const platform = await openPlatform({ dataDir, definitions });
  await platform.apply(definitions);
  await platform.push("visits", [{ user_id: "ada", at: "2026-01-01T00:00:00Z" }]);
  await platform.close();
}

async function visitsOfAda(): Promise<unknown> {
  const platform = await openPlatform({ dataDir, definitions });
  try {
    return (await platform.features("user", "ada")).features;
  } finally {
    await platform.close();
  }
}

describe("a data folder's format", () => {
  it("is marked by its owner, at its first opening, with the version that wrote it", async () => {
    await written();
    expect(JSON.parse(await readFile(mark(), "utf8"))).toEqual({ format: 1, onefold: packageVersion() });
  });

  it("is marked once by several who begin at once", async () => {
    await Promise.all(Array.from({ length: 16 }, () => markFormat(dataDir)));
    expect(await readdir(dataDir)).toEqual(["format.json"]);
    expect(JSON.parse(await readFile(mark(), "utf8"))).toEqual({ format: 1, onefold: packageVersion() });
  });

  it("is the first where there is no mark, which is set then", async () => {
    await written();
    await rm(mark());
    expect(await visitsOfAda()).toEqual({ visits: 1 });
    expect(JSON.parse(await readFile(mark(), "utf8"))).toMatchObject({ format: 1 });
  });

  it.each(["own", "read"] as const)("of a later version is refused before anything is touched: %s", async (mode) => {
    await written();
    await writeFile(mark(), JSON.stringify({ format: 2, onefold: "9.1.0" }));
    // As a later version may write its log: this one would take it for a segment that a crash left half written.
    const segment = join(dataDir, "log", "visits", "0", "00000000000000000001.log");
    await writeFile(segment, "ONEFLOG2 and more than that");
    const before = await readdir(dataDir, { recursive: true });
    await expect(openPlatform({ dataDir, definitions, mode })).rejects.toMatchObject({
      code: "DATA_FOLDER_FORMAT",
      message: expect.stringMatching(/format 2, written by Onefold 9\.1\.0; this is Onefold .*, which reads format 1/),
      hint: "use Onefold 9.1.0, or another data folder; nothing in this one was changed",
      where: mark(),
    });
    expect((await readdir(dataDir, { recursive: true })).toSorted()).toEqual(before.toSorted());
    expect(await readFile(segment, "utf8")).toBe("ONEFLOG2 and more than that");
  });

  it("is marked and held against by servers and workers as well", async () => {
    await writeFile(mark(), JSON.stringify({ format: 2, onefold: "9.1.0" }));
    // Nobody is there: the folder is looked at first.
    const nowhere = "redis://127.0.0.1:1/?timeout_ms=100";
    const refused = { code: "DATA_FOLDER_FORMAT", where: mark() };
    await expect(openOnlineServer({ dataDir, online: nowhere })).rejects.toMatchObject(refused);
    const worker = { definitions, kafka: { brokers: ["127.0.0.1:1"] }, onlineUrl: nowhere, archiveFolder: dataDir };
    await expect(startKafkaWorker(worker)).rejects.toMatchObject(refused);
    const own = join(dataDir, "own");
    const workerTables = { folder: dataDir };
    await expect(openPlatform({ dataDir: own, definitions, workerTables })).rejects.toMatchObject(refused);

    const archiveFolder = join(dataDir, "archive");
    await expect(startKafkaWorker({ ...worker, archiveFolder })).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(JSON.parse(await readFile(join(archiveFolder, "format.json"), "utf8"))).toMatchObject({ format: 1 });
  });

  it.each(["", "{}", "[]", "null", '{"format": "1"}'])("that cannot be told is refused: %j", async (text) => {
    await written();
    await writeFile(mark(), text);
    await expect(openPlatform({ dataDir, definitions })).rejects.toMatchObject({ code: "DATA_FOLDER_FORMAT" });
  });
});
