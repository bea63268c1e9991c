/**
 * One set of rows, some of which are not as expected, in every way that rows come: what is refused, with which codes,
 * and what is folded are the same. What was refused is pushed again once the expectation is loosened.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { batch, count, type Definition, entity, expectation, http, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const plant = entity("plant", { plant: t.string() });
const columns = { id: t.string(), plant: t.string(), at: t.timestamp(), celsius: t.float64().nullable() };
const of = { columns, eventTime: "at", id: "id" } as const;

type Severity = "quarantine" | "block";

function expectations(max: number, severity: Severity) {
  return [
    expectation("celsius", { range: { min: -50, max }, severity }),
    expectation("plant", { oneOf: ["north", "south"], severity: "quarantine" }),
    expectation("id", { pattern: "^r\\d+$", severity: "quarantine" }),
    expectation("celsius", { nullRate: { max: 0 } }),
  ] as const;
}

function viewOver(
  source: ReturnType<typeof pushed> | ReturnType<typeof polled> | ReturnType<typeof read>,
  name = "heat",
) {
  return view(name, { entity: plant, source, features: { readings: count(), heat: sum("celsius") } });
}
function pushed(max = 100, severity: Severity = "quarantine") {
  return stream("readings", { ...of, expect: expectations(max, severity) });
}
function polled(url: string, severity: Severity) {
  return stream("readings", { ...of, expect: expectations(100, severity), poll: http({ url, every: "1s" }) });
}
function read(location: string, severity: Severity) {
  return batch("readings", { ...of, expect: expectations(100, severity), format: "ndjson", location });
}
function defined(source: Parameters<typeof viewOver>[0]): Definition[] {
  return [plant, source, viewOver(source)];
}

const AT = "2026-01-01T00:00:00Z";
const rows = [
  { id: "r1", plant: "north", at: AT, celsius: 20 },
  { id: "r2", plant: "north", at: AT, celsius: 101 },
  { id: "r3", plant: "south", at: AT, celsius: null },
  { id: "r4", plant: "west", at: AT, celsius: 20 },
  { id: "x5", plant: "south", at: AT, celsius: 20 },
  { id: "r6", plant: "south", at: AT, celsius: -50 },
];
const REFUSED = ["celsius_range", "id_pattern", "plant_oneOf"];

let folder: string;
const opened: Platform[] = [];
const servers: Server[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-expected-"));
});
afterEach(async () => {
  for (const platform of opened.splice(0)) await platform.close();
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(name: string, definitions: Definition[]): Promise<Platform> {
  const platform = await openPlatform({ dataDir: join(folder, name), definitions });
  opened.push(platform);
  await platform.apply(definitions);
  return platform;
}

async function values(platform: Platform): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const key of ["north", "south", "west"]) {
    const { features } = await platform.features("plant", key, ["readings", "heat"]);
    all[key] = Object.values(features);
  }
  return all;
}

async function letters(platform: Platform): Promise<string[]> {
  const found = await platform.deadLetters().list({ source: "readings" });
  expect(new Set(found.map(({ code }) => code))).toEqual(new Set(["EXPECTATION_FAILED"]));
  return found.map(({ message }) => /expectation "(\w+)"/.exec(message)![1]!).toSorted();
}

const FOLDED = { north: [1, 20], south: [2, -50], west: [0, null] };

describe("rows that are not as expected", () => {
  it("are set aside with their code, and the others folded, by a push, an import, a poll and a batch run", async () => {
    const byPush = await open("push", defined(pushed()));
    expect(await byPush.push("readings", rows)).toMatchObject({ accepted: 3, rejected: 3 });

    const file = join(folder, "rows.ndjson");
    await writeFile(file, rows.map((row) => JSON.stringify(row)).join("\n"));
    const byImport = await open("import", defined(pushed()));
    expect(await byImport.importHistory("readings", [file])).toMatchObject({ accepted: 3, rejected: 3 });

    // Where rows are fetched nobody can be refused a push: one that blocks refuses its row.
    const server = createServer((_, answer) => answer.end(JSON.stringify(rows)));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const byPoll = await open("poll", defined(polled(url, "block")));
    byPoll.startPolls();
    await expect.poll(async () => (await byPoll.deadLetters().list()).length, { timeout: 60_000 }).toBe(3);

    const byBatch = await open("batch", defined(read(file, "block")));
    expect(await byBatch.runBatch("readings")).toMatchObject({ accepted: 3, rejected: 3 });

    for (const platform of [byPush, byImport, byPoll, byBatch]) {
      await platform.settle();
      expect(await letters(platform)).toEqual(REFUSED);
      expect(await values(platform)).toEqual(FOLDED);
    }
  }, 240_000);

  it("get in by a replay once the expectation is loosened, and stay in when it is tightened, whatever is built anew", async () => {
    const platform = await open("data", defined(pushed()));
    await platform.push("readings", rows);
    const desk = platform.deadLetters();
    expect(await desk.replay({ source: "readings", ids: "all" })).toMatchObject({ accepted: 0, rejected: 3 });
    const plan = await platform.apply(defined(pushed(200)));
    expect(plan.changes.filter(({ change }) => change !== "unchanged")).toMatchObject([
      {
        change: "change",
        kind: "stream",
        details: [
          "expectations.celsius_range: celsius is from -50 to 100, over 1h (quarantine) -> celsius is from -50 to 200, over 1h (quarantine)",
        ],
      },
    ]);
    expect(await desk.replay({ source: "readings", ids: "all" })).toMatchObject({ accepted: 1, rejected: 2 });
    expect(await letters(platform)).toEqual(REFUSED.slice(1));
    const folded = { ...FOLDED, north: [2, 121] };
    expect(await values(platform)).toEqual(folded);

    // What was let in is part of the log: an expectation judges what comes in, and nothing that is there.
    await platform.apply(defined(pushed(0)));
    expect(await platform.push("readings", [{ ...rows[0]!, id: "r9" }])).toMatchObject({ rejected: 1 });
    await platform.backfill({ name: "heat" });
    expect(await values(platform)).toEqual(folded);
    await platform.settle();
    expect(await platform.audit({ states: true })).toMatchObject({ clean: true });
  });

  it("have a push refused whole where the expectation blocks", async () => {
    const platform = await open("data", defined(pushed(100, "block")));
    await expect(platform.push("readings", rows)).rejects.toMatchObject({
      code: "PUSH_BLOCKED",
      message: 'row 2: column "celsius" is 101: expectation "celsius_range" is that celsius is from -50 to 100',
      where: "readings",
    });
    const server = await platform.serve({ port: 0 });
    const answer = await fetch(`${server.url}/events/readings`, { method: "POST", body: JSON.stringify(rows) });
    expect(answer.status).toBe(422);
    expect(await answer.json()).toMatchObject({ error: { code: "PUSH_BLOCKED" } });
    await server.close();
    expect(await platform.deadLetters().list()).toEqual([]);
    expect(await values(platform)).toEqual({ north: [0, null], south: [0, null], west: [0, null] });
    expect(
      await platform.push(
        "readings",
        rows.filter(({ id }) => id !== "r2"),
      ),
    ).toMatchObject({ accepted: 3, rejected: 2 });
  });
});

describe("expectations of features", () => {
  it("may change without a new version, and nothing is computed anew", async () => {
    const source = pushed();
    const platform = await open("data", [plant, source, viewOver(source)]);
    await platform.push("readings", rows);
    const before = platform.registry.view("heat").fingerprint;
    const expecting = view("heat", {
      entity: plant,
      source,
      features: { readings: count(), heat: sum("celsius") },
      expect: [expectation("heat", { range: { max: 1000 }, over: "1d" })],
    });
    const plan = await platform.apply([plant, source, expecting]);
    expect(plan.changes.find(({ kind }) => kind === "view")).toMatchObject({ change: "change" });
    expect(platform.registry.view("heat").fingerprint).toBe(before);
    expect(platform.registry.view("heat").definition.expectations).toHaveLength(1);
    expect(await values(platform)).toEqual(FOLDED);
    const described = await platform.request("GET", "/registry/views/heat");
    expect(described["expectations"]).toEqual([
      { name: "heat_range", expected: "heat is at most 1000", severity: "warn", over: "1d", tolerate: null },
    ]);
  });
});
