/** `FVECTORS` and `FEVENTS`: the JSON of HTTP over a bare connection. */
import { afterEach, describe, expect, it } from "vitest";
import { openHttpServer } from "../../../src/serve/http.ts";
import { OnefoldError } from "../../../src/base/errors.ts";
import { diagnostics } from "../../../src/base/diagnostics.ts";
import { type Decoded, type DecodedError, decodeReplies } from "./decode-reply.ts";
import { BareClient, encodeCommand, useRespDoor } from "./resp-in-test.ts";

const resp = useRespDoor();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function ask(...args: string[]): Promise<Decoded> {
  const client = await BareClient.open(resp.door.port);
  closers.push(() => client.socket.destroy());
  client.send(encodeCommand(args) + encodeCommand(["ECHO", "the end"]));
  const replies = decodeReplies(await client.until("$7\r\nthe end\r\n"));
  expect(replies).toHaveLength(2);
  return replies[0]!;
}

function parsed(reply: Decoded): Record<string, unknown> {
  return JSON.parse(Buffer.from(reply as string, "latin1").toString()) as Record<string, unknown>;
}

async function overHttp(path: string, body: string): Promise<Record<string, unknown>> {
  const server = await openHttpServer(resp.reader, resp.world, { port: 0 });
  try {
    const response = await fetch(server.url + path, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    return (await response.json()) as Record<string, unknown>;
  } finally {
    await server.close();
  }
}

const JFK = { airport: "JFK", route: ["JFK", "LAX"] };

describe("FVECTORS", () => {
  it.each([
    { entities: JFK },
    { entities: JFK, metadata: "full", token: true },
    { entities: { destination: "Zürich|\\", origin: "JFK", airport: "\u{1f680}" }, metadata: false },
    { entities: { airport: "JFK" } },
    { entities: { airport: null, route: ["JFK", "LAX"] } },
    { entities: { airport: "JFK", route: ["JFK"] } },
    { entities: { airport: "JFK", route: { origin: "JFK", destinatoin: "LAX" } } },
    { entities: { airport: "x".repeat(1100), route: ["JFK", "LAX"] } },
    { entities: JFK, request: { amount: 1 } },
    { entities: JFK, fit: 7 },
  ])("answers %j as HTTP does", async (body) => {
    resp.world.arrive({ delay: 8 });
    const [reply] = (await ask("FVECTORS", "delay_model", JSON.stringify(body))) as Decoded[];
    const { features, metadata, error } = await overHttp("/services/delay_model/vector", JSON.stringify(body));
    if (error !== undefined) expect(parsed(reply!)).toEqual({ error });
    else {
      const { latency_ms: _latency, timestamp: _timestamp, ...ofVector } = metadata as Record<string, unknown>;
      expect(parsed(reply!)).toEqual({ features, metadata: ofVector });
    }
  });

  it.each([
    ["no JSON", "{", "JSON_INVALID", "body"],
    ["no object", "[]", "REQUEST_INVALID", "body"],
    ["no entities", "{}", "REQUEST_INVALID", "body"],
    ["a member that is none", '{"entities": {}, "metdata": true}', "REQUEST_INVALID", "body"],
    ["no kind of metadata", '{"entities": {}, "metadata": "fool"}', "REQUEST_INVALID", "body/metadata"],
    ["no choice of a token", '{"entities": {}, "token": 1}', "REQUEST_INVALID", "body/token"],
    ["no fit", '{"entities": {}, "fit": 0}', "REQUEST_INVALID", "body/fit"],
    ["no UTF-8", "{\x80}", "REQUEST_INVALID", "the question"],
  ])("refuses %s, and the others have their vectors", async (_what, json, code, where) => {
    const client = await BareClient.open(resp.door.port);
    closers.push(() => client.socket.destroy());
    const good = JSON.stringify({ entities: JFK });
    const bulk = (bytes: string): string => `$${bytes.length}\r\n${bytes}\r\n`;
    client.send(["*5\r\n", ...["FVECTORS", "delay_model", good, json, good].map(bulk)].join(""));
    client.send(encodeCommand(["ECHO", "the end"]));
    const [replies] = decodeReplies(await client.until("$7\r\nthe end\r\n"));
    const [first, bad, last] = (replies as Decoded[]).map(parsed);
    expect(bad).toMatchObject({ error: { code, ...(where === undefined ? {} : { where }) } });
    for (const each of [first, last]) expect(each).toMatchObject({ features: { arrivals_1h: 0 } });
  });

  it("answers a service that is not there in each place, with the nearest names, and tells of it", async () => {
    const told: unknown[] = [];
    const listen = (message: unknown): void => void told.push(message);
    diagnostics.refused.subscribe(listen);
    closers.push(() => diagnostics.refused.unsubscribe(listen));
    const replies = (await ask("FVECTORS", "delay_modle", "{}", "{}")) as Decoded[];
    expect(replies.map(parsed)).toEqual([
      expect.objectContaining({ error: expect.objectContaining({ code: "SERVICE_UNKNOWN" }) }),
      expect.objectContaining({ error: expect.objectContaining({ candidates: ["delay_model"] }) }),
    ]);
    const one = { command: "fvectors", code: "SERVICE_UNKNOWN" };
    expect(told).toEqual([one, one]);
  });

  it("refuses more vectors than there may be in one, before any is read", async () => {
    const reply = await ask("FVECTORS", "delay_model", ...Array.from({ length: 5001 }, () => "{}"));
    expect((reply as DecodedError).line).toMatch(/^REQUEST_INVALID 5001 vectors in one command; the limit is 5000/);
  });

  it("lets others have their turn", async () => {
    const question = JSON.stringify({ entities: JFK });
    const long = ask("FVECTORS", "delay_model", ...Array.from({ length: 5000 }, () => question));
    const order: string[] = [];
    await Promise.all([long.then(() => order.push("long")), ask("PING").then(() => order.push("short"))]);
    expect(order).toEqual(["short", "long"]);
    expect(await long).toHaveLength(5000);
  });
});

describe("FEVENTS", () => {
  it.each([
    ["rows of which some are rejected", '[{"delay": 1}, {"delay": "late"}]'],
    ["one row that is rejected", '{"delay": "late"}'],
    ["rows that are all rejected", '[{"delay": "late"}, 7]'],
    ["lines", '{"delay": 1}\n{"delay": 2\n'],
    ["no rows", "[]"],
    ["no JSON", "["],
  ])("answers %s as HTTP does", async (_what, json) => {
    const answer = parsed(await ask("FEVENTS", "arrivals", json));
    const expected = await overHttp("/events/arrivals", json);
    const withoutOffsets = (body: Record<string, unknown>): unknown =>
      JSON.parse(JSON.stringify(body, (key, value: unknown) => (key === "offset" ? undefined : value)));
    expect(withoutOffsets(answer)).toEqual(withoutOffsets(expected));
  });

  it("answers what it refused whole as JSON, and keeps its own failures to itself", async () => {
    expect(parsed(await ask("FEVENTS", "arrival", "[]"))).toMatchObject({
      error: { code: "SOURCE_UNKNOWN", candidates: ["arrivals"] },
    });
    resp.world.pushInstead = () => Promise.reject(new OnefoldError("BACKPRESSURE", "later", { hint: "wait" }));
    expect(parsed(await ask("FEVENTS", "arrivals", "[]"))).toEqual({
      error: { code: "BACKPRESSURE", message: "later", hint: "wait" },
    });
    resp.world.pushInstead = () => Promise.reject(new Error("secret"));
    expect(parsed(await ask("FEVENTS", "arrivals", "[]"))).toEqual({
      error: { code: "INTERNAL", message: "the server failed at this command" },
    });
    expect(resp.failures).toMatchObject([{ command: "fevents" }]);
  });
});
