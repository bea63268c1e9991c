import { describe, expect, it } from "vitest";
import { decodeVectorToken } from "../../src/schema/vector-token.ts";
import { HOUR, MINUTE } from "./served-world.ts";
import { type Answer, useServer } from "./server-in-test.ts";

const http = useServer();
const { get, post } = http;

describe("POST /features", () => {
  it("answers values by name, with the moment they were read at", async () => {
    http.world.arrive({ delay: 10 });
    http.world.clock.advanceTo((http.world.clock.now() + MINUTE) as never);
    http.world.arrive({ delay: 21 });
    const { status, body } = await post("/features", {
      entity_type: "airport",
      entity_id: "JFK",
      feature_names: ["mean_delay_1h", "last_delay"],
    });
    expect(status).toBe(200);
    expect(body).toEqual({
      entity_type: "airport",
      entity_id: "JFK",
      features: { mean_delay_1h: 15.5, last_delay: 21 },
      metadata: {
        latency_ms: expect.any(Number),
        timestamp: "2001-06-01T12:01:00Z",
        as_of: "2001-06-01T12:01:00Z",
        missing_features: [],
      },
    });
    expect(body.metadata["latency_ms"]).toBeGreaterThanOrEqual(0);
  });

  it("freshness (age of a value): says how old, how exact and how sure each value is on request", async () => {
    http.world.arrive({});
    http.world.clock.advanceTo((http.world.clock.now() + 90_500_250) as never);
    const { body } = await post("/features", {
      entity_type: "airport",
      entity_id: "JFK",
      feature_names: ["mean_delay_1h", "last_delay"],
      metadata: "full",
    });
    expect(body.metadata["features"]).toEqual({
      mean_delay_1h: {
        status: "PRESENT",
        view: "origin_delays@2",
        event_time: "2001-06-01T12:00:00Z",
        age_ms: 90500.25,
        window_start: "2001-06-01T11:01:30.500250Z",
        window_bound_ms: 60_000,
        exact: true,
        error: 0,
      },
      last_delay: {
        status: "PRESENT",
        view: "origin_delays@2",
        event_time: "2001-06-01T12:00:00Z",
        age_ms: 90500.25,
        window_start: null,
        window_bound_ms: null,
        exact: true,
        error: 0,
      },
    });
  });

  it("turns values past their TTL, defaults and unseen entities into statuses", async () => {
    http.world.arrive({});
    http.world.clock.advanceTo((http.world.clock.now() + 3 * HOUR) as never);
    const names = { feature_names: ["arrivals_1h", "last_delay", "mean_delay_1h", "mean_or_zero"], metadata: true };
    const qualified = names.feature_names.map((name) => `origin_delays:${name}`);
    const old = await post("/features", {
      entity_type: "airport",
      entity_id: "JFK",
      ...names,
      feature_names: qualified,
    });
    expect(old.body["features"]).toEqual({
      "origin_delays:arrivals_1h": 0,
      "origin_delays:last_delay": null,
      "origin_delays:mean_delay_1h": null,
      "origin_delays:mean_or_zero": 0,
    });
    expect(old.body.metadata["missing_features"]).toEqual(["origin_delays:last_delay"]);
    expect(Object.values(old.body.metadata["features"]).map((each) => each.status)).toEqual([
      "PRESENT",
      "OUTSIDE_MAX_AGE",
      "NULL_VALUE",
      "NULL_VALUE",
    ]);
    const unseen = await post("/features", {
      entity_type: "airport",
      entity_id: "ZZZ",
      ...names,
      feature_names: qualified,
    });
    expect(unseen.status).toBe(200);
    expect(unseen.body["features"]).toEqual({
      "origin_delays:arrivals_1h": 0,
      "origin_delays:last_delay": null,
      "origin_delays:mean_delay_1h": null,
      "origin_delays:mean_or_zero": 0,
    });
    expect(unseen.body.metadata["missing_features"]).toEqual(qualified);
    expect(unseen.body.metadata.features["origin_delays:last_delay"]).toMatchObject({
      status: "NOT_FOUND",
      event_time: null,
      age_ms: null,
    });
  });

  it("takes plain names that are unique, and lists the candidates of those that are not", async () => {
    const ask = (name: string): Promise<Answer> =>
      post("/features", { entity_type: "airport", entity_id: "JFK", feature_names: [name] });
    const ambiguous = await ask("arrivals_1h");
    expect(ambiguous.status).toBe(409);
    expect(ambiguous.body.error).toMatchObject({
      code: "FEATURE_AMBIGUOUS",
      candidates: ["destination_delays@1:arrivals_1h", "origin_delays@2:arrivals_1h"],
    });
    expect((await ask("origin_delays@1:arrivals_1h")).body["features"]).toEqual({ "origin_delays@1:arrivals_1h": 0 });
    const unknown = await ask("last_delays");
    expect(unknown.status).toBe(404);
    expect(unknown.body.error).toMatchObject({ code: "FEATURE_UNKNOWN", candidates: ["last_delay"] });
    expect((await ask("hidden_count")).body.error?.code).toBe("FEATURE_UNKNOWN");
    expect((await ask("origin_delays@3:arrivals_1h")).body.error).toMatchObject({
      code: "FEATURE_UNKNOWN",
      candidates: expect.arrayContaining(["origin_delays@2:arrivals_1h"]),
    });
  });

  it("answers all features without names, the ambiguous ones under their full names", async () => {
    const { body } = await post("/features", { entity_type: "airport", entity_id: "JFK" });
    expect(Object.keys(body["features"]).sort()).toEqual([
      "destination_delays@1:arrivals_1h",
      "last_arrival",
      "last_delay",
      "mean_delay_1h",
      "mean_or_zero",
      "origin_delays@2:arrivals_1h",
    ]);
  });

  it("writes timestamps as text", async () => {
    http.world.arrive({ arrived_at: "2001-06-01T11:59:59.123456Z", destination: "LAX" });
    const { body } = await post("/features", {
      entity_type: "airport",
      entity_id: "LAX",
      feature_names: ["last_arrival"],
    });
    expect(body["features"]).toEqual({ last_arrival: "2001-06-01T11:59:59.123456Z" });
  });

  it("takes a composite key as an array or an object", async () => {
    http.world.arrive({ origin: "JFK", destination: "LAX" });
    const ask = (entity_id: unknown): Promise<Answer> => post("/features", { entity_type: "route", entity_id });
    for (const id of [["JFK", "LAX"], { destination: "LAX", origin: "JFK" }]) {
      expect((await ask(id)).body).toMatchObject({ entity_id: id, features: { route_arrivals_1h: 1 } });
    }
    expect((await ask(["LAX", "JFK"])).body["features"]).toEqual({ route_arrivals_1h: 0 });
    for (const id of ["JFK|LAX", ["JFK"], ["JFK", "LAX", "x"], { origin: "JFK", destinaton: "LAX" }]) {
      expect((await ask(id)).body.error?.code).toBe("REQUEST_INVALID");
    }
    expect((await ask({ origin: "JFK" })).body.error?.code).toBe("KEY_MISSING");
    expect((await ask(["JFK", null])).body.error?.code).toBe("KEY_MISSING");
    expect((await ask([1, 2])).body.error?.code).toBe("TYPE_MISMATCH");
  });

  it("takes 64-bit keys as text, and refuses those that JSON has already rounded", async () => {
    http.world.arrive({ account: "9223372036854775807" });
    const ask = (id: string): Promise<Answer> => post("/features", `{"entity_type":"account","entity_id":${id}}`);
    expect((await ask('"9223372036854775807"')).body["features"]).toEqual({ account_arrivals_1h: 1 });
    expect((await ask("9223372036854775807")).body.error?.code).toBe("INT64_UNSAFE");
    expect((await ask('"9223372036854775808"')).body.error?.code).toBe("INT64_UNSAFE");
    expect((await ask("1.5")).body.error?.code).toBe("TYPE_MISMATCH");
    expect((await ask("true")).body.error?.code).toBe("TYPE_MISMATCH");
  });
});

describe("GET /features/{entity_type}/{entity_id}", () => {
  it("reads by URL, composite keys as their canonical text", async () => {
    http.world.arrive({ origin: "J|K", destination: "L\\X", account: "77" });
    expect((await get("/features/account/77")).body["features"]).toEqual({ account_arrivals_1h: 1 });
    const id = encodeURIComponent("J\\|K|L\\\\X");
    expect((await get(`/features/route/${id}?names=route_arrivals_1h&token=true`)).body).toMatchObject({
      entity_id: "J\\|K|L\\\\X",
      features: { route_arrivals_1h: 1 },
      metadata: { token: expect.any(String) },
    });
    const full = await get("/features/airport/J%7CK?names=last_delay,mean_delay_1h&metadata=full");
    expect(Object.keys(full.body.metadata["features"])).toEqual(["last_delay", "mean_delay_1h"]);
  });

  it("refuses what it cannot read", async () => {
    expect((await get("/features/route/JFK")).body.error?.code).toBe("REQUEST_INVALID");
    expect((await get("/features/account/abc")).body.error?.code).toBe("TYPE_MISMATCH");
    expect((await get("/features/airprt/JFK")).body.error).toMatchObject({ code: "ENTITY_UNKNOWN" });
    expect((await get("/features/airport/JFK?name=x")).body.error?.message).toContain('no field "name"');
    expect((await get(`/features/airport/${"x".repeat(1025)}`)).body.error?.code).toBe("KEY_TOO_LONG");
    expect((await get("/features/airport/%zz")).body.error?.code).toBe("REQUEST_INVALID");
  });
});

describe("POST /features/batch", () => {
  it("batch feature read: answers in the order asked, duplicates kept", async () => {
    http.world.arrive({ origin: "A" });
    http.world.arrive({ origin: "B" });
    http.world.arrive({ origin: "B" });
    const ids = ["B", "nowhere", "A", "B"];
    const { body } = await post("/features/batch", {
      entity_type: "airport",
      entity_ids: ids,
      feature_names: ["origin_delays:arrivals_1h"],
      token: true,
    });
    const { results } = body;
    expect(results.map((each) => each["entity_id"])).toEqual(ids);
    expect(results.map((each) => Object.values(each.features)[0])).toEqual([2, 0, 1, 2]);
    expect(results.map((each) => decodeVectorToken(each.metadata.token).reads[0]!.lastOffset)).toEqual([2, null, 0, 2]);
  });

  it("says which key is bad, and how many are too many", async () => {
    const bad = await post("/features/batch", { entity_type: "airport", entity_ids: ["A", 7] });
    expect(bad.body.error).toMatchObject({ code: "TYPE_MISMATCH", where: "entity_ids[1] airport.airport" });
    const many = await post("/features/batch", {
      entity_type: "airport",
      entity_ids: Array.from({ length: 5001 }, () => "A"),
    });
    expect(many.body.error?.code).toBe("REQUEST_INVALID");
    const most = await post("/features/batch", {
      entity_type: "airport",
      entity_ids: Array.from({ length: 5000 }, () => "A"),
    });
    expect(most.body["results"]).toHaveLength(5000);
    expect((await post("/features/batch", { entity_type: "airport", entity_ids: [] })).body["results"]).toEqual([]);
  });
});

describe("a request that names nothing", () => {
  it("is not one for everything, nor for the entity of the empty text", async () => {
    const refused = async (answer: Promise<Answer>, where: string): Promise<void> => {
      const { status, body } = await answer;
      expect([status, body.error]).toMatchObject([400, { code: "REQUEST_INVALID", where }]);
    };
    await refused(get("/features/airport/"), "entity_id");
    await refused(get("/features/airport/JFK?names="), "names");
    await refused(get("/features/airport/JFK?names=,"), "names");
    const named = { entity_type: "airport", feature_names: [] };
    await refused(post("/features", { ...named, entity_id: "JFK" }), "feature_names");
    await refused(post("/features/batch", { ...named, entity_ids: ["JFK"] }), "feature_names");
    expect((await post("/features", { entity_type: "airport", entity_id: "" })).body).toMatchObject({ entity_id: "" });
  });
});
