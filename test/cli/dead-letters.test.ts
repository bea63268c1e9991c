/** Dead letters beside a running server: asked of it by its address, or by the folder that it owns. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openOwnerDesk, type OwnerDesk } from "../../src/cli/owner-desk.ts";
import { servedWorks } from "../../src/cli/served-works.ts";
import { count, entity, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { runJsonHere } from "./run-here.ts";

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), at: t.timestamp(), fare: t.int64() },
  eventTime: "at",
});
const counts = view("counts", { version: 1, entity: rider, source: rides, features: { rides: count() } });
const definitions = [rider, rides, counts];

let folder: string;
let platform: Platform;
let server: Awaited<ReturnType<Platform["serve"]>>;
let desk: OwnerDesk;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-letters-"));
  const dataDir = join(folder, ".onefold");
  platform = await openPlatform({ dataDir, definitions });
  await platform.apply(definitions);
  server = await platform.serve({ port: 0 });
  desk = await openOwnerDesk(dataDir, servedWorks(platform, null));
  await platform.push("rides", [
    { rider_id: "ana", at: "2026-01-02T00:00:00Z", fare: "many" },
    { rider_id: "bo", at: "2026-01-02T00:00:00Z", fare: 5 },
    { rider_id: null, at: "2026-01-02T00:00:00Z", fare: 5 },
    { rider_id: "cy", at: "2100-01-02T00:00:00Z", fare: 5 },
  ]);
});
afterEach(async () => {
  await desk.close();
  await server.close();
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

describe.each([
  ["the server at its address", () => ["--url", server.url]],
  ["the owner of the data folder", () => []],
])("dead letters, asked of %s", (_, place) => {
  const letters = async (...args: readonly string[]) => {
    const { exitCode, result } = await runJsonHere(["dead-letters", ...args, ...place()], folder);
    return { exitCode, ...result } as Record<string, any>;
  };

  it("are listed with their rows, pushed again and resolved", async () => {
    const all = await letters("list");
    expect(all["dropped"]).toBe(0);
    expect(all["dead_letters"]).toHaveLength(3);
    expect(all["dead_letters"][0]).toMatchObject({ source: "rides", stage: "door", payload: { rider_id: "ana" } });
    const far = ["--code", "EVENT_TOO_FAR_AHEAD"];
    const [letter] = (await letters("list", "--source", "rides", "--limit", "1", ...far))["dead_letters"];
    expect(letter.payload).toMatchObject({ rider_id: "cy" });
    const source = ["--source", "rides"];
    const again = { accepted: 0, duplicates: 0, notReplayable: 0 };
    expect(await letters("replay", ...source)).toEqual({ exitCode: 0, ...again, rejected: 3 });
    expect(await letters("replay", ...source, "--id", letter.id)).toMatchObject({ ...again, rejected: 1 });
    expect(await letters("resolve", ...source)).toMatchObject({ exitCode: 1, error: { code: "REQUEST_INVALID" } });
    expect(await letters("resolve", ...source, "--view", "counts@1")).toMatchObject({ resolved: 0 });
    expect(await letters("resolve", ...source, "--id", letter.id)).toEqual({ exitCode: 0, resolved: 1 });
    expect((await letters("list"))["dead_letters"]).toHaveLength(2);
    for (const work of [["list"], ["replay"], ["resolve", "--code", "KEY_MISSING"]])
      expect(await letters(...work, "--source", "nobody")).toMatchObject({ error: { code: "SOURCE_UNKNOWN" } });
  });
});

it("refuse over HTTP what says nothing, or what nobody knows", async () => {
  const post = async (path: string, body: object): Promise<number> => {
    const headers = { "content-type": "application/json" };
    return (await fetch(`${server.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) })).status;
  };
  expect(await post("/dead-letters/rides/resolve", {})).toBe(400);
  expect(await post("/dead-letters/rides/resolve", { ids: [] })).toBe(400);
  expect(await post("/dead-letters/rides/replay", { id: "d0" })).toBe(400);
  expect(await post("/dead-letters/nobody/replay", {})).toBe(404);
  expect((await fetch(`${server.url}/dead-letters?limit=all`)).status).toBe(400);
  expect((await fetch(`${server.url}/dead-letters?source=nobody`)).status).toBe(404);
});
