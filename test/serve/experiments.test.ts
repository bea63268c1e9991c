/** Experiments where a service's name is asked for: over HTTP, on Feast's wire, and in the serving log. */
import { describe, expect, it } from "vitest";
import { bySession, experimentDefinitions, halfVariant, unitsOfEach } from "./experiment-world.ts";
import { useServer } from "./server-in-test.ts";

const http = useServer(experimentDefinitions);
const { post, get } = http;
const units = unitsOfEach("by_airport");

function entitiesOf(origin: string): object {
  return { airport: origin, origin, destination: "LAX" };
}

describe("POST /services/{name}/vector by an experiment's name", () => {
  it("answers with the variant of the entity's key, and says which", async () => {
    http.world.arrive({ origin: units.plain, delay: 8 });
    http.world.arrive({ origin: units.rich, delay: 4 });
    const plain = await post("/services/by_airport/vector", { entities: entitiesOf(units.plain) });
    expect(plain.status).toBe(200);
    expect(plain.body).toMatchObject({
      service: "by_airport",
      features: { mean_delay_1h: 8 },
      metadata: { experiment: "by_airport", variant: "delay_plain@1" },
    });
    const rich = await post("/services/by_airport/vector", { entities: entitiesOf(units.rich) });
    expect(Object.entries(rich.body.features)).toEqual([
      ["route_arrivals_1h", 1],
      ["mean_delay_1h", 4],
      ["arrivals_1h", 1],
    ]);
    expect(rich.body.metadata).toMatchObject({ experiment: "by_airport", variant: "delay_rich@1" });
  });

  it("is what the service itself answers", async () => {
    http.world.arrive({ origin: units.rich, delay: 4 });
    const asked = { entities: entitiesOf(units.rich), metadata: "full", token: true };
    const byExperiment = await post("/services/by_airport/vector", asked);
    const byService = await post("/services/delay_rich/vector", asked);
    expect(byExperiment.body.features).toEqual(byService.body.features);
    expect(byExperiment.body.metadata.features).toEqual(byService.body.metadata.features);
    expect(byExperiment.body.metadata.token).toBe(byService.body.metadata.token);
  });

  it("serves overridden units what they are given", async () => {
    const { body } = await post("/services/by_airport/vector", { entities: entitiesOf("PLAIN") });
    expect(body.metadata).toMatchObject({ variant: "delay_plain@1" });
  });

  it("wants the keys of all variants, whichever is served", async () => {
    const { status, body } = await post("/services/by_airport/vector", { entities: { airport: units.plain } });
    expect([status, body.error?.code]).toEqual([400, "KEY_MISSING"]);
    expect(body.error?.message).toMatch(/route/);
  });

  it("assigns by what the request carries, and wants it", async () => {
    const seen = new Set<unknown>();
    for (let i = 0; i < 20; i++) {
      const session = `s${i}`;
      const { body } = await post("/services/by_session/vector", { entities: entitiesOf("JFK"), request: { session } });
      expect(body.metadata["variant" as never]).toBe(halfVariant(bySession.salt, session));
      seen.add(body.metadata["variant" as never]);
    }
    expect(seen.size).toBe(2);
    const without = await post("/services/by_session/vector", { entities: entitiesOf("JFK") });
    expect([without.status, without.body.error?.code]).toEqual([400, "NULL_NOT_ALLOWED"]);
    const other = await post("/services/by_session/vector", {
      entities: entitiesOf("JFK"),
      request: { session: "s1", sesion: "s2" },
    });
    expect([other.status, other.body.error?.code]).toEqual([400, "REQUEST_INVALID"]);
  });

  it("refuses a fit, and names that are neither a service's nor an experiment's", async () => {
    const fitted = await post("/services/by_airport/vector", { entities: entitiesOf("JFK"), fit: 1 });
    expect([fitted.status, fitted.body.error?.code]).toEqual([400, "REQUEST_INVALID"]);
    const unknown = await post("/services/by_airpor/vector", { entities: entitiesOf("JFK") });
    expect([unknown.status, unknown.body.error?.code]).toEqual([404, "SERVICE_UNKNOWN"]);
  });

  it("records each answer with its unit, variant and token, whatever is sampled, where exposures are kept", async () => {
    http.world.isSampling = false;
    for (let i = 0; i < 3; i++) await post("/services/by_airport/vector", { entities: entitiesOf(units.rich) });
    await post("/services/by_session/vector", { entities: entitiesOf("JFK"), request: { session: "s1" } });
    await post("/services/delay_rich/vector", { entities: entitiesOf(units.rich) });
    expect(http.world.recorded).toHaveLength(3);
    for (const vector of http.world.recorded) {
      expect(vector).toMatchObject({
        service: "delay_rich",
        keys: { airport: units.rich, route: `${units.rich}|LAX` },
        exposure: { experiment: "by_airport", variant: "delay_rich@1", unit: units.rich },
      });
    }
  });
});

describe("POST /services/{name}/vectors by an experiment's name", () => {
  it("answers each with its own variant, in the order asked", async () => {
    const asked = Array.from({ length: 40 }, (_, i) => `U${i}`);
    const { status, body } = await post("/services/by_airport/vectors", { entities: asked.map(entitiesOf) });
    expect(status).toBe(200);
    expect(body["service"]).toBe("by_airport");
    expect(body.results.map(({ metadata }) => metadata["variant" as never])).toEqual(
      asked.map((unit) => halfVariant("by_airport", unit)),
    );
    for (const { features, metadata } of body.results) {
      const isRich = metadata["variant" as never] === "delay_rich@1";
      expect(Object.keys(features)).toHaveLength(isRich ? 3 : 1);
    }
    expect(http.world.recorded).toHaveLength(40);
  });
});

describe("Feast's wire by an experiment's name", () => {
  it("has a column for each feature of any variant, and one that says which was served", async () => {
    http.world.arrive({ origin: units.plain, delay: 8 });
    http.world.arrive({ origin: units.rich, delay: 4 });
    const asked = {
      feature_service: "by_airport",
      entities: { airport: [units.plain, units.rich], origin: [units.plain, units.rich], destination: ["LAX", "LAX"] },
    };
    const { status, body } = await post("/get-online-features", asked);
    expect(status).toBe(200);
    expect((await post("/get-online-features", asked)).body).toEqual(body);
    const { feature_names: names } = body.metadata as never as { readonly feature_names: readonly string[] };
    const results = body.results as never as readonly { values: unknown[]; statuses: string[] }[];
    const columns = Object.fromEntries(names.map((name, i) => [name, results[i]!]));
    expect(columns["by_airport__variant"]).toMatchObject({ values: ["delay_plain@1", "delay_rich@1"] });
    expect(columns["mean_delay_1h"]).toMatchObject({ values: [8, 4], statuses: ["PRESENT", "PRESENT"] });
    expect(columns["route_arrivals_1h"]).toMatchObject({ values: [null, 1], statuses: ["NOT_FOUND", "PRESENT"] });
    expect(columns["arrivals_1h"]).toMatchObject({ values: [null, 1], statuses: ["NOT_FOUND", "PRESENT"] });
  });
});

describe("GET /services/{name}/schema of an experiment", () => {
  it("has the keys and request data of all variants, and the features of each", async () => {
    const { status, body } = await get("/services/by_session/schema");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      service: "by_session",
      entities: [{ name: "airport" }, { name: "route" }],
      request: [{ name: "session", type: "string" }],
      fit: null,
    });
    const variants = body["variants"] as readonly { variant: string; features: { name: string }[] }[];
    expect(variants.map(({ variant, features }) => [variant, features.map(({ name }) => name)])).toEqual([
      ["delay_plain@1", ["mean_delay_1h"]],
      ["delay_rich@1", ["route_arrivals_1h", "mean_delay_1h", "arrivals_1h"]],
    ]);
  });
});

describe("an experiment's steps", () => {
  it("are followed by the next answer, and never by an answer that was kept", async () => {
    const ask = async (): Promise<unknown> => {
      const { body } = await post("/services/by_session/vector", {
        entities: entitiesOf("JFK"),
        request: { session: sessionOfPlain },
      });
      return body.metadata["variant" as never];
    };
    const sessionOfPlain = unitsOfEach("by_session").plain;
    for (let i = 0; i < 3; i++) expect(await ask()).toBe("delay_plain@1");
    await http.world.registry.stepExperiment("by_session", { weights: [0, 100] }, "ada");
    http.world.revisionNumber++;
    expect(await ask()).toBe("delay_rich@1");
    await http.world.registry.stepExperiment("by_session", { serve: "delay_plain@1" }, null);
    http.world.revisionNumber++;
    expect(await ask()).toBe("delay_plain@1");
  });
});
