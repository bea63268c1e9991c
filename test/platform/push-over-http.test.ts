/** Pushing over a real socket into the real pipeline: what is refused, what is kept, and how much is held. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { count, entity, service, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { HttpServer } from "../../src/serve/http.ts";

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { ride_id: t.string(), rider_id: t.string(), ended_at: t.timestamp(), note: t.string().nullable() },
  eventTime: "ended_at",
  id: "ride_id",
});
const rideCounts = view("ride_counts", { version: 1, entity: rider, source: rides, features: { rides: count() } });
const definitions = [rider, rides, rideCounts, service("model", { features: [rideCounts] })];

let folder: string;
let platform: Platform;
let server: HttpServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  platform = await openPlatform({ dataDir: folder, definitions });
  await platform.apply(definitions);
  server = await platform.serve({ port: 0 });
});
afterEach(async () => {
  await server.close();
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

interface PushAnswer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: {
    readonly accepted?: number;
    readonly rejected?: number;
    readonly outcomes?: readonly Readonly<Record<string, unknown>>[];
    readonly error?: { readonly code: string; readonly message: string };
  };
}

async function push(body: string | Buffer, type = "application/x-ndjson"): Promise<PushAnswer> {
  const headers = { "content-type": type };
  const answer = await fetch(`${server.url}/events/rides`, { method: "POST", body, headers });
  const retryAfter = answer.headers.get("retry-after");
  return { status: answer.status, retryAfter, body: (await answer.json()) as PushAnswer["body"] };
}

function ride(id: string, note: string | null = null): string {
  return JSON.stringify({ ride_id: id, rider_id: "ana", ended_at: "2026-01-01T00:00:00Z", note });
}

describe("a line that is not JSON", () => {
  it("is a dead letter with its own code, line and column, as the answer says", async () => {
    const { status, body } = await push(`${ride("r1")}\n{"ride_id": oops}\n${ride("r2")}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ accepted: 2, rejected: 1 });
    const [letter] = await platform.deadLetters().list();
    expect(letter).toMatchObject({ code: "JSON_INVALID", stage: "door", payload: '{"ride_id": oops}' });
    expect(letter!.message).toMatch(/^line 2: .* at column 13/);
    const { id, message } = letter!;
    expect(body.outcomes![1]).toMatchObject({ status: "rejected", code: "JSON_INVALID", message, dead_letter_id: id });
  });
});

describe("a row that the door refuses", () => {
  it("is answered with what the error says: where, what to do, and the names near an unknown one", async () => {
    const misspelt = { ride_id: "r1", rider_id: "ana", ended_at: "2026-01-01T00:00:00Z", notes: "late" };
    const reason = { code: "COLUMN_UNKNOWN", where: "notes", candidates: ["note"] };
    const { status, body } = await push(JSON.stringify(misspelt), "application/json");
    expect([status, body.error]).toMatchObject([400, reason]);
    expect(body.outcomes).toMatchObject([{ status: "rejected", ...reason }]);
    const ahead = { ...misspelt, ended_at: "2126-01-01T00:00:00Z", notes: undefined };
    const all = await push(`${JSON.stringify(misspelt)}\n${JSON.stringify(ahead)}`);
    expect([all.status, all.body.error]).toMatchObject([422, { code: "ROWS_REJECTED", candidates: ["note"] }]);
    expect(all.body.outcomes).toMatchObject([
      reason,
      {
        code: "EVENT_TOO_FAR_AHEAD",
        message: expect.stringMatching(/^ended_at: 2126-01-01T00:00:00Z is more than 1m ahead of /),
        where: "ended_at",
        hint: expect.stringContaining("maxFuture"),
      },
    ]);
    const two = await push(`${ride("r2")}\n${JSON.stringify(misspelt)}`);
    expect([two.status, two.body.outcomes?.[1]]).toMatchObject([200, reason]);
  });
});

describe("a row that is nested deeper than can be written", () => {
  it("is a dead letter of what is not too deep, and costs the rows beside it nothing", async () => {
    const deep = `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`;
    const { status, body } = await push(`${ride("r1")}\n{"ride_id":"r2","nested":${deep}}\n${ride("r3")}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ accepted: 2, rejected: 1, outcomes: [{}, { status: "rejected" }, {}] });
    const letters = await platform.deadLetters().list();
    expect(letters).toMatchObject([{ payload: { ride_id: "r2", nested: { a: { a: {} } } } }]);
    expect((await platform.features("rider", "ana")).features).toEqual({ rides: 2 });
  });
});

describe("many large bodies at a time", () => {
  it("meet back-pressure: memory stays bounded, what is refused says so, and all that is accepted is there", async () => {
    const bodyOf = (n: number): Buffer =>
      Buffer.from(Array.from({ length: 30_000 }, (_, i) => ride(`${n}-${i}`, "x".repeat(400))).join("\n"));
    const bodies = Array.from({ length: 12 }, (_, n) => bodyOf(n));
    expect(bodies[0]!.length).toBeGreaterThan(13e6);
    const before = process.memoryUsage().rss;
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
    const answers = await Promise.all(bodies.map((body) => push(body)));
    clearInterval(watch);
    const refused = answers.filter(({ status }) => status !== 200);
    const accepted = answers.reduce((sum, { body }) => sum + (body.accepted ?? 0), 0);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(12);
    for (const { status, retryAfter, body } of refused) {
      expect({ status, retryAfter, code: body.error?.code }).toEqual({
        status: 429,
        retryAfter: "1",
        code: "BACKPRESSURE",
      });
    }
    expect(accepted).toBe((12 - refused.length) * 30_000);
    expect(most - before).toBeLessThan(1_200 * 1024 * 1024);
    const served = (await platform.features("rider", "ana")).features;
    expect(served).toEqual({ rides: accepted });
    const again = answers.findIndex(({ status }) => status !== 200);
    expect(await push(bodies[again]!)).toMatchObject({ status: 200, body: { accepted: 30_000 } });
  }, 240_000);

  it("count with all their rows in the pipeline, not with the part that is being folded", async () => {
    const rows = (n: number): string => Array.from({ length: 90_000 }, (_, i) => `{"ride_id":"${n}-${i}"}`).join("\n");
    const statuses = (await Promise.all([1, 2, 3, 4].map((n) => push(rows(n))))).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([422, 422, 429, 429]);
    expect((await push(rows(5))).status).toBe(422);
    expect((await platform.deadLetters().list({ limit: 1e6 })).length).toBe(3 * 90_000);
  }, 240_000);

  it("are refused by their number of rows before the rows are built", async () => {
    const before = process.memoryUsage().rss;
    const { status, body } = await push("{}\n".repeat(5_000_000));
    expect({ status, code: body.error?.code }).toEqual({ status: 413, code: "BODY_TOO_LARGE" });
    expect(process.memoryUsage().rss - before).toBeLessThan(400 * 1024 * 1024);
    expect(await platform.deadLetters().list()).toEqual([]);
  });
});
