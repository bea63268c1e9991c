import { describe, expect, it, vi } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { decodeVectorToken } from "../../src/schema/vector-token.ts";
import { definitions, MINUTE } from "./served-world.ts";
import { useServer } from "./server-in-test.ts";

const http = useServer();
const { post } = http;

describe("POST /services/{name}/vector", () => {
  it("answers in the service's order, by entity names or by key columns", async () => {
    http.world.arrive({ delay: 8 });
    const byColumn = await post("/services/delay_model/vector", {
      entities: { airport: "JFK", origin: "JFK", destination: "LAX", other: 1 },
    });
    expect(byColumn.status).toBe(200);
    expect(Object.entries(byColumn.body["features"])).toEqual([
      ["arrivals_1h", 1],
      ["mean_delay_1h", 8],
      ["last_delay", 8],
      ["route_arrivals_1h", 1],
    ]);
    const byName = await post("/services/delay_model/vector", {
      entities: { airport: ["JFK"], route: ["JFK", "LAX"] },
    });
    expect(byName.body["features"]).toEqual(byColumn.body["features"]);
  });

  it("reads all its views at one moment, however late it gets meanwhile", async () => {
    const { clock } = http.world;
    const [start, entities] = [clock.now(), { airport: "JFK", route: ["JFK", "LAX"] }];
    http.world.arrive({});
    const counts = new Set<string>();
    for (let minutes = 0; minutes < 120; minutes += 5) {
      let time = start + minutes * MINUTE;
      // Whoever asks for the time once more gets another, at which a window of an hour may be over.
      vi.spyOn(clock, "now").mockImplementation(() => (time += 10 * MINUTE) as Micros);
      const { features, metadata } = (await post("/services/delay_model/vector?token=true", { entities })).body as any;
      vi.restoreAllMocks();
      const isWithin = decodeVectorToken(metadata.token).asOf < start + 60 * MINUTE;
      counts.add([features.arrivals_1h, features.route_arrivals_1h, isWithin].join(" "));
    }
    expect(counts).toEqual(new Set(["1 1 true", "0 0 false"]));
  });

  it("carries a token that names what was read, in the header and the metadata", async () => {
    http.world.arrive({});
    const { body, headers } = await post("/services/delay_model/vector", {
      entities: { airport: "JFK", route: ["JFK", "SFO"] },
      token: true,
    });
    expect(headers.get("x-onefold-token")).toBe(body.metadata["token"]);
    expect(decodeVectorToken(body.metadata["token"])).toEqual({
      asOf: http.world.clock.now(),
      reads: [
        { view: "origin_delays@2", epoch: 3, lastOffset: 0 },
        { view: "route_delays@1", epoch: 3, lastOffset: null },
      ],
    });
    http.world.epoch = 4;
    const later = await post("/services/delay_model/vector?token=true", {
      entities: { airport: "JFK", route: ["JFK", "SFO"] },
    });
    expect(decodeVectorToken(later.body.metadata["token"]).reads[0]!.epoch).toBe(4);
    const without = await post("/services/delay_model/vector", { entities: { airport: "JFK", route: ["JFK", "SFO"] } });
    expect(without.headers.get("x-onefold-token")).toBeNull();
    expect(without.body["metadata"]).not.toHaveProperty("token");
  });

  it("hands every vector to the serving log", async () => {
    http.world.arrive({ delay: 8 });
    await post("/services/delay_model/vector", { entities: { airport: "JFK", route: ["JFK", "LAX"] } });
    expect(http.world.recorded).toEqual([
      {
        service: "delay_model",
        keys: { airport: "JFK", route: "JFK|LAX" },
        token: expect.objectContaining({ asOf: http.world.clock.now() }),
        features: [
          "origin_delays@2:arrivals_1h",
          "origin_delays@2:mean_delay_1h",
          "origin_delays@2:last_delay",
          "route_delays@1:route_arrivals_1h",
        ],
        values: [1, 8, 8, 1],
        statuses: [0, 0, 0, 0],
      },
    ]);
  });

  it("says which entity's key is missing", async () => {
    const { status, body } = await post("/services/delay_model/vector", {
      entities: { airport: "JFK", origin: "JFK" },
    });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: "KEY_MISSING", where: "route.destination" });
    const unknown = await post("/services/delay_modle/vector", { entities: {} });
    expect(unknown).toMatchObject({ status: 404, body: { error: { code: "SERVICE_UNKNOWN" } } });
    // What is wrong with the body is of no matter then.
    for (const path of ["/services/delay_modle/vector", "/services/delay_modle/vectors"]) {
      const error = { code: "SERVICE_UNKNOWN", candidates: ["delay_model"] };
      expect(await post(path, {})).toMatchObject({ status: 404, body: { error } });
    }
    expect((await post("/services/delay_model/vector", {})).body.error).toMatchObject({ code: "REQUEST_INVALID" });
  });

  it("does not repeat in an error all that was sent", async () => {
    const long = "airport".repeat(500_000);
    for (const [path, body, code] of [
      ["/services/delay_model/vector", { entities: { [long]: 1 } }, "KEY_MISSING"],
      ["/services/delay_model/vector", { [long]: 1, entities: {} }, "REQUEST_INVALID"],
      ["/get-online-features", { feature_service: long, entities: { airport: ["JFK"] } }, "SERVICE_UNKNOWN"],
    ] as const) {
      const { status, body: answer } = await post(path, body);
      expect([status < 500, answer.error?.code]).toEqual([true, code]);
      expect(JSON.stringify(answer).length).toBeLessThan(10_000);
    }
  });

  it("refuses what is nested deeper than an answer can repeat, as a fault of whoever asks", async () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const entities = `{"airport": "JFK", "route": ["JFK", "LAX"], "other": ${deep}}`;
    for (const path of ["vector", "vectors"]) {
      const isList = path === "vectors";
      const body = `{"entities": ${isList ? `[{"airport": "JFK", "route": ["JFK", "LAX"]}, ${entities}]` : entities}}`;
      const answer = await post(`/services/delay_model/${path}`, body);
      expect(answer.status).toBe(400);
      expect(answer.body.error).toMatchObject({
        code: "REQUEST_INVALID",
        where: isList ? "entities[1]" : "body",
        message: expect.stringContaining("nested too deep"),
      });
    }
    expect(http.failures).toEqual([]);
  });

  it("never reads earlier than what was folded, and says so when the clock is far behind", async () => {
    http.world.arrive({});
    const behind = (by: number): void => {
      const now = http.world.clock.now();
      Object.defineProperty(http.world.clock, "now", { value: () => now - by, configurable: true });
    };
    behind(MINUTE);
    const entities = { airport: "JFK", route: ["JFK", "LAX"] };
    const bumped = await post("/services/delay_model/vector", { entities });
    expect(bumped.body["metadata"]).toMatchObject({ as_of: "2001-06-01T12:00:00Z", timestamp: "2001-06-01T11:59:00Z" });
    behind(1);
    expect(await post("/services/delay_model/vector", { entities })).toMatchObject({
      status: 503,
      body: { error: { code: "CLOCK_BEHIND" } },
    });
    // An entity that is unseen has folded nothing that could be ahead.
    expect((await post("/features", { entity_type: "airport", entity_id: "ZZZ" })).status).toBe(200);
  });

  it("answers many sets of entities in order", async () => {
    http.world.arrive({ origin: "A", destination: "B" });
    const { body } = await post("/services/delay_model/vectors", {
      entities: [
        { airport: "X", route: ["X", "Y"] },
        { airport: "A", route: ["A", "B"] },
      ],
      metadata: true,
    });
    expect(body.results.map((each) => each.features["route_arrivals_1h"])).toEqual([0, 1]);
    const bad = await post("/services/delay_model/vectors", { entities: [{ airport: "X", route: ["X", "Y"] }, {}] });
    expect(bad.body.error).toMatchObject({ code: "KEY_MISSING", where: "entities[1] airport" });
  });

  it("compiles anew when the registry changes", async () => {
    const entities = { airport: "JFK", route: ["JFK", "LAX"] };
    await post("/services/delay_model/vector", { entities });
    const { definition } = http.world.registry.service("delay_model");
    const shorter = definitions.map((each) =>
      each === definitions.at(-1) ? { ...definition, features: definition.features.slice(0, 1) } : each,
    );
    await http.world.registry.apply(shorter);
    expect(Object.keys((await post("/services/delay_model/vector", { entities })).body["features"])).toHaveLength(4);
    http.world.revisionNumber++;
    expect(Object.keys((await post("/services/delay_model/vector", { entities })).body["features"])).toHaveLength(1);
  });
});
