/** A data folder opened to read: beside its owner, or where there is none. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { count, entity, service, stream, t, view } from "../../src/index.ts";
import { openPlatform } from "../../src/platform.ts";

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", { columns: { rider_id: t.string(), at: t.timestamp() }, eventTime: "at" });
const rideCounts = view("ride_counts", { version: 1, entity: rider, source: rides, features: { rides: count() } });
const definitions = [rider, rides, rideCounts, service("model", { features: [rideCounts] })];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a data folder that is not there", () => {
  it("is refused to a reader, and not created", async () => {
    const dataDir = join(folder, "typo");
    const refusal = { code: "DATA_FOLDER_MISSING", where: dataDir, hint: expect.stringContaining("onefold apply") };
    await expect(openPlatform({ dataDir, mode: "read" })).rejects.toMatchObject(refusal);
    await expect(openPlatform({ dataDir, create: false })).rejects.toMatchObject(refusal);
    await expect(openPlatform({ dataDir: folder, mode: "read" })).rejects.toMatchObject({ code: refusal.code });
    expect(existsSync(dataDir)).toBe(false);
  });

  it("can be read as an empty one on request, and is still not created", async () => {
    const dataDir = join(folder, "later");
    const platform = await openPlatform({ dataDir, mode: "read", create: true });
    expect(platform.plan(definitions)).toMatchObject({ dirty: true, refused: false });
    await platform.close();
    expect(existsSync(dataDir)).toBe(false);
  });
});

describe("a reader beside the owner", () => {
  it("is told to stop the owner where only that helps, and of HTTP where there is a route", async () => {
    const owner = await openPlatform({ dataDir: folder, definitions });
    await owner.apply(definitions);
    const reader = await openPlatform({ dataDir: folder, definitions, mode: "read" });
    const states = await reader.audit({ states: true }).catch((error: unknown) => error);
    expect(states).toMatchObject({ code: "STORAGE_LOCKED", message: expect.stringContaining("audit stored states") });
    expect(states).toMatchObject({ hint: expect.not.stringContaining("HTTP") });
    expect(states).toMatchObject({ hint: expect.stringContaining("stop the process") });
    await expect(reader.push("rides", [])).rejects.toMatchObject({ hint: expect.stringContaining("POST /events") });
    await expect(reader.vector("model", { rider_id: "ana" })).rejects.toMatchObject({
      hint: expect.stringContaining("POST /services/{name}/vector"),
    });
    await reader.close();
    await owner.close();
  });
});
