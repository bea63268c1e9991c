/** Pushing over a real socket into the real pipeline: what is refused, what is kept, and how much is held. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { count, entity, service, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { type HttpServer } from "../../src/serve/http.ts";

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

async function push(body: string): Promise<PushAnswer> {
  const headers = { "content-type": "application/x-ndjson" };
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
    expect(body.outcomes![1]).toEqual({ status: "rejected", code: "JSON_INVALID", message, dead_letter_id: id });
  });
});
