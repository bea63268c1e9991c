/** Letters of a numbered view, which no push can mend: resolved by who has seen to them, and not opened again. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { count, custom, entity, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), at: t.timestamp(), fare: t.int64() },
  eventTime: "at",
});
const fussy = custom("fussy", {
  output: t.int64(),
  empty: () => 0,
  add: (state: number, fare: number) => {
    if (fare === 13) throw new Error("not that");
    return state + fare;
  },
  read: (state: number) => state,
});
const fares = view("fares", { version: 1, entity: rider, source: rides, features: { total: fussy("fare") } });
const counts = view("counts", { version: 1, entity: rider, source: rides, features: { rides: count() } });
const definitions = [rider, rides, fares, counts];

let folder: string;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  platform = await openPlatform({ dataDir: join(folder, "data"), definitions });
  await platform.apply(definitions);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function openLetters(): Promise<number> {
  const server = await platform.serve({ port: 0 });
  const page = await (await fetch(`${server.url}/metrics`)).text();
  await server.close();
  const listed = await platform.deadLetters().list({ source: "rides" });
  const gauge = Number(/^onefold_dead_letters_open\{source="rides"\} (\d+)$/m.exec(page)?.[1]);
  expect(listed).toHaveLength(gauge);
  return gauge;
}

describe("letters of the fold", () => {
  it("are resolved by view, code or id, and stay so through a rebuild and a restart", async () => {
    const ride = (fare: number): object => ({ rider_id: "ana", at: "2026-01-02T00:00:00Z", fare });
    await platform.push("rides", [ride(1), ride(13), ride(2), ride(13)]);
    await platform.settle();
    expect(await openLetters()).toBe(2);
    const desk = platform.deadLetters();
    expect(await desk.replay({ source: "rides", ids: "all" })).toMatchObject({ notReplayable: 2 });
    expect(await desk.resolve({ source: "rides", filter: { view: "counts@1" } })).toBe(0);
    expect(await desk.resolve({ source: "rides", filter: { view: "fares@1", code: "KEY_MISSING" } })).toBe(0);
    const [first] = await desk.list({ source: "rides" });
    expect(await desk.resolve({ source: "rides", filter: { ids: new Set([first!.id]) } })).toBe(1);
    expect(await openLetters()).toBe(1);
    expect(await desk.resolve({ source: "rides", filter: { view: "fares@1", code: "EVENT_POISON" } })).toBe(1);
    expect(await openLetters()).toBe(0);

    // History in front of live events: every view is built anew, and refuses the events anew.
    const file = join(folder, "earlier.csv");
    await writeFile(file, "rider_id,at,fare\nana,2026-01-01,5\n");
    await platform.importHistory("rides", [file]);
    expect((await platform.features("rider", "ana")).features).toEqual({ total: 8, rides: 5 });
    expect(await openLetters()).toBe(0);
    await platform.close();
    platform = await openPlatform({ dataDir: join(folder, "data"), definitions });
    expect(await openLetters()).toBe(0);
    await platform.push("rides", [ride(13)]);
    await platform.settle();
    expect(await openLetters()).toBe(1);
  });

  it("are not resolved beside the owner of the folder", async () => {
    const reader = await openPlatform({ dataDir: join(folder, "data"), definitions, mode: "read" });
    await expect(reader.deadLetters().resolve({ source: "rides", filter: {} })).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
    });
    await reader.close();
  });
});
