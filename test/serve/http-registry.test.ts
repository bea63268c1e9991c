import { describe, expect, it } from "vitest";
import { useServer } from "./server-in-test.ts";

const http = useServer();
const { get } = http;

describe("GET /registry", () => {
  it("lists, filters and finds by name and version", async () => {
    const all = (await get("/registry")).body;
    expect(Object.keys(all)).toEqual([
      "entities",
      "sources",
      "views",
      "on_demand_views",
      "services",
      "experiments",
      "alert_rules",
      "destinations",
    ]);
    expect((await get("/registry/views?entity=route")).body["views"]).toHaveLength(1);
    expect((await get("/registry/entities?tag=flights")).body["entities"]).toHaveLength(1);
    expect((await get("/registry/views?owner=nobody")).body["views"]).toEqual([]);
    for (const path of ["/registry?entity=rout", "/registry/views?entity=rout", "/registry/services?entity=rout"]) {
      const refused = await get(path);
      expect([refused.status, refused.body.error]).toMatchObject([
        404,
        { code: "ENTITY_UNKNOWN", candidates: ["route"] },
      ]);
    }
    expect((await get("/registry/sources/arrivals")).body).toMatchObject({
      kind: "stream",
      event_time: "arrived_at",
      max_future: "1m",
    });
    expect((await get("/registry/services/delay_model")).body["features"]).toHaveLength(4);
    expect((await get("/registry/views/origin_delays@1")).body["features"]).toHaveLength(2);
    const newest = (await get("/registry/views/origin_delays")).body;
    expect(newest).toMatchObject({
      version: 2,
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      created_at: "2001-06-01T12:00:00Z",
    });
    expect((newest.features as unknown as unknown[])[1]).toEqual({
      name: "mean_delay_1h",
      type: "float64",
      description: null,
      owner: "ops",
      tags: ["flights"],
      version: 2,
      aggregation: { fn: "mean", column: "delay", over: "1h" },
      default: null,
      ttl: null,
      freshness: "real-time",
      online: true,
      offline: true,
      schedule: null,
      dependencies: { entity: "airport", source: "arrivals", columns: ["delay"] },
      created_at: "2001-06-01T12:00:00Z",
    });
    expect((await get("/registry/lineage")).body["edges"]).toContainEqual({
      from: "source:arrivals",
      to: "view:origin_delays@2",
    });
  });

  it("says what is unknown", async () => {
    expect((await get("/registry/views/origin_delay")).body.error?.code).toBe("VIEW_UNKNOWN");
    expect((await get("/registry/views/origin_delays@9")).body.error?.code).toBe("VIEW_UNKNOWN");
    expect((await get("/registry/on_demand_views/none")).body.error?.code).toBe("VIEW_UNKNOWN");
    expect((await get("/registry/view")).body.error).toMatchObject({
      code: "ROUTE_UNKNOWN",
      candidates: ["/registry/views", "/registry/on_demand_views"],
    });
    expect((await get("/registry/views?tags=x")).body.error?.code).toBe("REQUEST_INVALID");
  });
});
