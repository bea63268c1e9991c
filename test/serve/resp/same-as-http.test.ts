/**
 * What the RESP door answers is what HTTP answers, value by value and to the bit, for random events with every
 * type, nulls and numbers that are not finite, keys of several columns, and request data.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../../src/base/micros.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";
import type { HttpServer } from "../../../src/serve/http.ts";
import type { RespServer } from "../../../src/serve/resp/server.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { definitions, NAMES, randomVisit, REGIONS, START } from "../every-type.ts";
import { type Decoded, type DecodedError, decodeReplies } from "./decode-reply.ts";
import { BareClient, encodeCommand } from "./resp-in-test.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 5);

let folder: string;
let clock: ReplayClock;
let platform: Platform;
let http: HttpServer;
let resp: RespServer;
const random = new SeededRandom(SEED);

beforeAll(async () => {
  console.log(`events and requests are random by seed ${SEED} (ONEFOLD_SEED)`);
  folder = await mkdtemp(join(tmpdir(), "onefold-resp-"));
  clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
  await platform.apply(definitions);
  http = await platform.serve({ port: 0 });
  resp = await platform.serveResp({ port: 0 });
});
afterAll(async () => {
  await Promise.all([http.close(), resp.close()]);
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

/** What FGET must say of a value that HTTP gives as JSON, by its type as FDESCRIBE has it. */
function expected(json: unknown, type: string, protocol: 2 | 3): Decoded {
  if (json === null) return null;
  const element = /^array<(.*)>$/.exec(type)?.[1];
  if (element !== undefined) return (json as unknown[]).map((each) => expected(each, element, protocol));
  if (type === "bytes") return Buffer.from(String(json), "base64").toString("latin1");
  if (type === "string" || type === "timestamp" || protocol === 2) return Buffer.from(String(json)).toString("latin1");
  if (type === "int64" && typeof json === "string") return BigInt(json);
  return type === "float64" ? Number(json) : (json as number | boolean);
}

async function ask(client: BareClient, args: readonly string[]): Promise<Decoded> {
  client.send(encodeCommand(args) + encodeCommand(["PING"]));
  const replies = decodeReplies(await client.until("+PONG\r\n"));
  expect(replies).toHaveLength(2);
  return replies[0]!;
}

async function featuresOverHttp(name: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${http.url}/services/${name}/vector`, { method: "POST", body: JSON.stringify(body) });
  const answer = (await response.json()) as { features: Record<string, unknown> };
  expect(response.status, JSON.stringify(answer)).toBe(200);
  return answer.features;
}

function keyText(...parts: readonly unknown[]): string {
  return parts.map((part) => String(part).replace(/[\\|]/g, "\\$&")).join("|");
}

describe("random vectors", () => {
  it("are the same over both doors", async () => {
    const clients = { 2: await BareClient.open(resp.port), 3: await BareClient.open(resp.port) };
    await ask(clients[3], ["HELLO", "3"]);
    const describe = (await ask(clients[3], ["FDESCRIBE", "everything"])) as Map<string, Map<string, string>[]>;
    const types = describe.get("features")!.map((feature) => feature.get("type")!);
    expect(new Set(types)).toEqual(
      new Set([
        "int64",
        "float64",
        "string",
        "bool",
        "timestamp",
        "bytes",
        "array<float64>",
        "array<string>",
        "array<int64>",
      ]),
    );
    let compared = 0;
    for (let round = 0; round < 150; round++) {
      clock.advanceTo((clock.now() + random.integer(0, 300_000_000)) as Micros);
      await platform.push(
        "visits",
        Array.from({ length: random.integer(0, 4) }, () => randomVisit(random, clock.now())),
      );
      const [name, region, number] = [random.pick(NAMES), random.pick(REGIONS), random.integer(-1, 2)];
      const entities = { name, region, number };
      const request = { amount: random.integer(1, 1000) / 7, ...(random.oneIn(2) ? { label: "Grüß" } : {}) };
      const keys = [name, keyText(region, number)];
      const context = ["CONTEXT", JSON.stringify(request)];

      const features = await featuresOverHttp("everything", { entities, request });
      const json = await ask(clients[2], ["FGETJSON", "everything", ...keys, ...context]);
      expect(Buffer.from(json as string, "latin1").toString(), `seed ${SEED}, round ${round}`).toBe(
        JSON.stringify(features),
      );
      for (const protocol of [2, 3] as const) {
        const values = Object.values(features).map((value, i) => expected(value, types[i]!, protocol));
        expect(await ask(clients[protocol], ["FGET", "everything", ...keys, ...context])).toEqual(values);
        const many = [
          "FMGET",
          "everything",
          "2",
          ...keys,
          ...keys,
          "CONTEXT",
          JSON.stringify([request, { amount: "x" }]),
        ];
        const [good, bad] = (await ask(clients[protocol], many)) as Decoded[];
        expect(good).toEqual(values);
        expect((bad as DecodedError).line).toMatch(/^TYPE_MISMATCH request\.amount/);
        compared += values.length;
      }

      const plain = await featuresOverHttp("numbers", { entities });
      const packed = Buffer.from((await ask(clients[2], ["FGETPACKED", "numbers", ...keys])) as string, "latin1");
      const unpacked = Object.entries(plain).map(([feature, value]) => {
        if (value === null) return null;
        return feature === "due" ? parseMicros(String(value)) : Number(value);
      });
      expect(packed).toHaveLength(8 * unpacked.length + 1);
      for (const [i, value] of unpacked.entries()) {
        expect(packed.readDoubleLE(8 * i)).toBe(value ?? Number.NaN);
        expect((packed[8 * unpacked.length]! >> i) & 1).toBe(value === null ? 1 : 0);
      }
    }
    console.log(`${compared} values compared`);
    for (const client of Object.values(clients)) client.socket.destroy();
  });

  it("carry the same metadata and tokens", async () => {
    const client = await BareClient.open(resp.port);
    const entities = { name: "ada", region: "north", number: 1 };
    const response = await fetch(`${http.url}/services/numbers/vector`, {
      method: "POST",
      body: JSON.stringify({ entities, metadata: "full", token: true }),
    });
    const { features, metadata } = (await response.json()) as Record<string, Record<string, unknown>>;
    const { latency_ms: _latency, timestamp: _timestamp, ...rest } = metadata!;
    const both = await ask(client, ["FGETJSON", "numbers", "ada", "north|1", "WITHMETA", "withtoken"]);
    expect(JSON.parse(both as string)).toEqual({ features, metadata: rest });
    client.socket.destroy();
  });

  it("are refused alike where the question has the wrong form", async () => {
    const client = await BareClient.open(resp.port);
    const entities = { name: "ada", region: "north", number: 1 };
    for (const question of [
      { entities, x: 1 },
      { entities, metadata: "no" },
      { entities, metadata: null },
      { entities, token: 1 },
      { entities, fit: 0 },
      { entities, fit: 1.5 },
      { entities, request: 5 },
      { entities, request: null },
      { entities: "ada" },
      { entities: [] },
      { entities, request: { x: 1 } },
      { entities: { ...entities, number: "x" } },
      {},
      [],
      5,
    ]) {
      const body = JSON.stringify(question);
      const overHttp = await fetch(`${http.url}/services/numbers/vector`, { method: "POST", body });
      const [overResp] = (await ask(client, ["FVECTORS", "numbers", body])) as string[];
      const { error } = (await overHttp.json()) as { error: object };
      expect(JSON.parse(overResp!).error, body).toMatchObject(error);
    }
    client.socket.destroy();
  });

  it("that hold more than numbers are not packed", async () => {
    const client = await BareClient.open(resp.port);
    const refusal = await ask(client, ["FGETPACKED", "everything", "ada", "north|1", "CONTEXT", '{"amount": 1}']);
    expect((refusal as DecodedError).line).toMatch(
      /^FEATURE_NOT_NUMERIC a packed vector holds numbers, and everything has wide \(wide int64\), note \(string\), digest \(bytes\)/,
    );
    client.socket.destroy();
  });

  it("are counted", async () => {
    const page = await (await fetch(`${http.url}/metrics`)).text();
    expect(page).toMatch(/^onefold_resp_commands_total\{command="fget"\} 300$/m);
    expect(page).toMatch(/^onefold_resp_connections \d$/m);
    expect(page).toMatch(/^onefold_errors_total\{code="FEATURE_NOT_NUMERIC"\} 1$/m);
  });
});
