import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseMicros } from "../../src/base/micros.ts";
import { Status } from "../../src/fold/view-fold.ts";
import { feastStatus, feastValue } from "../../src/serve/feast-answer.ts";
import { START } from "./served-world.ts";
import { useServer } from "./server-in-test.ts";

const http = useServer();
const { post } = http;

interface FeastAnswer {
  readonly metadata: { readonly feature_names: readonly string[] };
  readonly results: readonly {
    readonly values: readonly unknown[];
    readonly statuses: readonly string[];
    readonly event_timestamps: readonly string[];
  }[];
}

async function ask(body: unknown): Promise<FeastAnswer> {
  const answer = await post("/get-online-features", body);
  expect(answer.status).toBe(200);
  return answer.body as unknown as FeastAnswer;
}

async function text(body: unknown): Promise<string> {
  const response = await fetch(`${http.server.url}/get-online-features`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return response.text();
}

describe("POST /get-online-features", () => {
  it("answers by column: join keys first, then the features, for rows in their order", async () => {
    http.world.arrive({ delay: 8 });
    http.world.arrive({ delay: 5, origin: "BOS" });
    const answer = await ask({
      entities: { airport: ["BOS", "JFK", "ZZZ"], account: [1, 2, 3] },
      features: ["origin_delays:mean_delay_1h", "origin_delays@1:arrivals_1h"],
    });
    const at = "2001-06-01T12:00:00Z";
    const never = "1970-01-01T00:00:00Z";
    expect(answer).toEqual({
      metadata: { feature_names: ["airport", "mean_delay_1h", "arrivals_1h"] },
      results: [
        {
          values: ["BOS", "JFK", "ZZZ"],
          statuses: ["PRESENT", "PRESENT", "PRESENT"],
          event_timestamps: [never, never, never],
        },
        {
          values: [5, 8, null],
          statuses: ["PRESENT", "PRESENT", "NOT_FOUND"],
          event_timestamps: [at, at, never],
        },
        // an unseen entity reads as the empty state, as in training: its count is 0
        { values: [1, 1, 0], statuses: ["PRESENT", "PRESENT", "NOT_FOUND"], event_timestamps: [at, at, never] },
      ],
    });
    const written = await text({ entities: { airport: ["JFK"] }, features: ["origin_delays:mean_delay_1h"] });
    expect(written).toContain('"values":[8.0]');
  });

  it("answers for several entities, a service, and with full names", async () => {
    http.world.arrive({ delay: 8 });
    const entities = { airport: ["JFK"], origin: ["JFK"], destination: ["LAX"] };
    const service = await ask({ entities, feature_service: "delay_model", full_feature_names: true });
    expect(service.metadata.feature_names).toEqual([
      "airport",
      "origin",
      "destination",
      "origin_delays__arrivals_1h",
      "origin_delays__mean_delay_1h",
      "origin_delays__last_delay",
      "route_delays__route_arrivals_1h",
    ]);
    const listed = await ask({
      entities,
      features: ["origin_delays:arrivals_1h", "destination_delays:arrivals_1h"],
      full_feature_names: true,
    });
    expect(listed.metadata.feature_names.slice(-2)).toEqual([
      "origin_delays__arrivals_1h",
      "destination_delays__arrivals_1h",
    ]);
  });

  it("keeps every digit of a 64-bit key, and knows a value past its age and one that is null", async () => {
    http.world.arrive({ account: "9007199254740993", delay: null });
    const body = '{"entities": {"account": [9007199254740993]}, "features": ["account_arrivals:account_arrivals_1h"]}';
    const response = await fetch(`${http.server.url}/get-online-features`, { method: "POST", body });
    const answered = await response.text();
    expect(answered).toContain('"values":[9007199254740993]');
    expect(answered).toContain('{"values":[1],"statuses":["PRESENT"]');
    http.world.clock.advanceTo(parseMicros("2001-06-01T15:00:00Z"));
    const old = await ask({
      entities: { airport: ["JFK"] },
      features: ["origin_delays:last_delay", "origin_delays:mean_delay_1h"],
    });
    expect(old.results.slice(1).map(({ values, statuses }) => [values[0], statuses[0]])).toEqual([
      [null, "OUTSIDE_MAX_AGE"],
      [null, "NULL_VALUE"],
    ]);
  });

  it.each([
    ["neither features nor a service", { entities: { airport: ["JFK"] } }, 400, "REQUEST_INVALID"],
    ["both", { entities: { airport: ["A"] }, features: ["a:b"], feature_service: "s" }, 400, "REQUEST_INVALID"],
    ["no reference", { entities: { airport: ["A"] }, features: ["arrivals_1h"] }, 400, "REQUEST_INVALID"],
    ["an unknown view", { entities: { airport: ["A"] }, features: ["nope:a"] }, 404, "VIEW_UNKNOWN"],
    ["an unknown version", { entities: { airport: ["A"] }, features: ["origin_delays@9:a"] }, 404, "VIEW_UNKNOWN"],
    ["an unknown feature", { entities: { airport: ["A"] }, features: ["origin_delays:x"] }, 404, "FEATURE_UNKNOWN"],
    ["an unknown service", { entities: { airport: ["A"] }, feature_service: "nope" }, 404, "SERVICE_UNKNOWN"],
    [
      "what is not served",
      { entities: { airport: ["A"] }, features: ["hidden:hidden_count"] },
      409,
      "FEATURE_NOT_ONLINE",
    ],
    [
      "two of one name",
      { entities: { airport: ["A"] }, features: ["origin_delays:arrivals_1h", "destination_delays:arrivals_1h"] },
      400,
      "REQUEST_INVALID",
    ],
    [
      "a key that is missing",
      { entities: { airprt: ["A"] }, features: ["origin_delays:arrivals_1h"] },
      400,
      "KEY_MISSING",
    ],
    [
      "a key that is null",
      { entities: { airport: [null] }, features: ["origin_delays:arrivals_1h"] },
      400,
      "KEY_MISSING",
    ],
    [
      "columns of two lengths",
      { entities: { airport: ["A"], origin: [] }, features: ["origin_delays:arrivals_1h"] },
      400,
      "REQUEST_INVALID",
    ],
    [
      "entities by row",
      { entities: [{ airport: "A" }], features: ["origin_delays:arrivals_1h"] },
      400,
      "REQUEST_INVALID",
    ],
  ])("refuses %s with a status that Feast's client does not retry", async (_, body, status, code) => {
    const answer = await post("/get-online-features", body);
    expect([answer.status, answer.body.error?.code]).toEqual([status, code]);
    expect([429, 500, 502, 503, 504]).not.toContain(answer.status);
  });
});

describe("POST /push and /write-to-online-store", () => {
  const df = {
    origin: ["JFK", "JFK"],
    destination: ["LAX", "SFO"],
    account: [1, 2],
    delay: [4, null],
    event_timestamp: ["2001-06-01T11:59:00", "2001-06-01T11:59:30"],
    created: [null, null],
  };

  it.each([
    ["/push", { push_source_name: "arrivals", df, to: "online_and_offline" }],
    ["/write-to-online-store", { feature_view_name: "origin_delays", df, allow_registry_cache: false }],
    ["/write-to-online-store", { feature_view_name: "arrivals", df }],
  ])("%s takes rows by column, with Feast's own columns fitted", async (path, body) => {
    const response = await fetch(`${http.server.url}${path}`, { method: "POST", body: JSON.stringify(body) });
    expect([response.status, await response.text()]).toEqual([200, "null"]);
    const { results } = await ask({
      entities: { airport: ["JFK"] },
      features: ["origin_delays:arrivals_1h", "origin_delays:mean_delay_1h"],
    });
    expect(results.slice(1).map(({ values }) => values[0])).toEqual([2, 4]);
    expect(results[1]!.event_timestamps[0]).toBe("2001-06-01T11:59:30Z");
  });

  it("say what was refused, and of what", async () => {
    const unknown = await post("/push", { push_source_name: "arrival", df });
    expect(unknown.status).toBe(422);
    expect(unknown.body.error).toMatchObject({ code: "PUSH_SOURCE_UNKNOWN", candidates: ["arrivals"] });
    const noView = await post("/write-to-online-store", { feature_view_name: "origin_delay", df });
    expect([noView.status, noView.body.error?.code]).toEqual([404, "VIEW_UNKNOWN"]);
    const half = await post("/push", { push_source_name: "arrivals", df: { ...df, delay: [4, "late"] } });
    expect(half.status).toBe(422);
    expect(half.body).toMatchObject({ error: { code: "ROWS_REJECTED" }, accepted: 1, rejected: 1 });
    const ragged = await post("/push", { push_source_name: "arrivals", df: { ...df, delay: [4] } });
    expect([ragged.status, ragged.body.error?.code]).toEqual([400, "REQUEST_INVALID"]);
  });
});

describe("a value as Feast's client reads it", () => {
  it("is a float wherever the type is one", () => {
    const float = { name: "float64" } as const;
    expect([1, -3, 0.5, 1e21, 1e-7, 2 ** 53].map((value) => feastValue(value, float))).toEqual([
      "1.0",
      "-3.0",
      "0.5",
      "1e+21",
      "1e-7",
      "9007199254740992.0",
    ]);
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const written = feastValue(value, float);
        expect(JSON.parse(written)).toBe(value === 0 ? JSON.parse(written) : value);
        expect(written).toMatch(/[.e]/);
      }),
    );
  });

  it("is written by its type", () => {
    expect(feastValue("12345678901234567890", { name: "int64", wide: true })).toBe("12345678901234567890");
    expect(feastValue(START, { name: "timestamp" })).toBe(String(START / 1e6));
    expect(feastValue(Uint8Array.of(1, 2), { name: "bytes" })).toBe('"AQI="');
    expect(feastValue([1, null, 2.5], { name: "array", element: { name: "float64" } })).toBe("[1.0,null,2.5]");
    expect(feastValue('a"b', { name: "string" })).toBe('"a\\"b"');
    const floats = { name: "array", element: { name: "float64" } } as const;
    expect(feastValue([Number.NaN, Number.POSITIVE_INFINITY, 1], floats)).toBe('["NaN","Infinity",1.0]');
    expect(feastValue(Number.NEGATIVE_INFINITY, { name: "float64" })).toBe('"-Infinity"');
    expect(feastStatus(Status.ERROR)).toBe("INVALID");
  });
});
