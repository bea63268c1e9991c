/** A service in two versions at every door: each by its name, and what is told and kept of it by its version. */
import { afterEach, beforeEach, expect, it } from "vitest";
import type { ServiceDefinition } from "../../src/define/definition.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { openHttpServer, type HttpServer } from "../../src/serve/http.ts";
import { createClient } from "../../src/client/index.ts";
import { openRespServer, type RespServer } from "../../src/serve/resp/server.ts";
import { createWorld, definitions, type World } from "./served-world.ts";

const second: ServiceDefinition = {
  kind: "service",
  name: "delay_model",
  version: 2,
  features: [{ view: "origin_delays", version: 2, feature: "mean_or_zero", as: "mean_or_zero" }],
};
const FIRST = { features: { arrivals_1h: 1, mean_delay_1h: 8, last_delay: 8, route_arrivals_1h: 1 } };
const SECOND = { features: { mean_or_zero: 8 } };
const entities = { airport: "JFK", route: ["JFK", "LAX"] };

let world: World;
let http: HttpServer;
let resp: RespServer;
beforeEach(async () => {
  world = await createWorld([...definitions, second]);
  const reader = createFeatureReader(world);
  http = await openHttpServer(reader, world, { port: 0 });
  resp = await openRespServer(reader, world, "0.0.0", { port: 0 });
  world.arrive({ delay: 8 });
});
afterEach(async () => {
  await http.close();
  await resp.close();
});

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
  const response = await fetch(`${http.url}${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return { status: response.status, body: await response.json() };
}

it("answers over HTTP by the version that is named, also where its @ is encoded, and says which it was", async () => {
  for (const name of ["delay_model@1", "delay_model%401"]) {
    expect((await call("POST", `/services/${name}/vector`, { entities })).body).toMatchObject({
      service: "delay_model",
      ...FIRST,
    });
  }
  for (const name of ["delay_model@2", "delay_model", "delay_model@latest"]) {
    expect((await call("POST", `/services/${name}/vector`, { entities })).body).toMatchObject({
      service: "delay_model@2",
      ...SECOND,
    });
  }
  const many = await call("POST", "/services/delay_model@1/vectors", { entities: [entities, entities] });
  expect(many.body).toMatchObject({ service: "delay_model", results: [FIRST, FIRST] });
  const schema = await call("GET", "/services/delay_model@2/schema");
  expect(schema.body.features).toEqual([{ name: "mean_or_zero", type: "float64" }]);
  expect((await call("POST", "/services/delay_model@3/vector", { entities })).body.error).toMatchObject({
    code: "SERVICE_UNKNOWN",
    candidates: ["delay_model@1", "delay_model@2"],
  });
});

it("lists both with their versions, and has each by its name", async () => {
  const { body } = await call("GET", "/registry/services");
  expect(body.services.map((one: any) => [one.name, one.version])).toEqual([
    ["delay_model", 1],
    ["delay_model", 2],
  ]);
  expect((await call("GET", "/registry/services/delay_model@1")).body).toMatchObject({ version: 1 });
  expect((await call("GET", "/registry/services/delay_model")).body).toMatchObject({ version: 2 });
});

it("answers Feast's client by the version that is named", async () => {
  const ask = (name: string): Promise<{ body: any }> =>
    call("POST", "/get-online-features", {
      feature_service: name,
      entities: { airport: ["JFK"], origin: ["JFK"], destination: ["LAX"] },
    });
  expect((await ask("delay_model@1")).body.metadata.feature_names).toContain("route_arrivals_1h");
  expect((await ask("delay_model@2")).body.metadata.feature_names).toEqual(["airport", "mean_or_zero"]);
});

it("answers the client over both protocols by the version that is named", async () => {
  for (const url of [http.url, `redis://127.0.0.1:${resp.port}`]) {
    const client = createClient({ url, timeoutMs: 30_000 });
    try {
      expect(await client.vector("delay_model@1", { airport: "JFK", origin: "JFK", destination: "LAX" })).toMatchObject(
        FIRST,
      );
      expect(await client.vector("delay_model@2", { airport: "JFK" })).toMatchObject(SECOND);
    } finally {
      await client.close();
    }
  }
});

it("is kept and counted by version: in the serving log, in usage, in the time that vectors take", async () => {
  world.monitor.start();
  try {
    for (const name of ["delay_model@1", "delay_model@2", "delay_model@2"])
      await call("POST", `/services/${name}/vector`, { entities });
    expect(world.recorded.map(({ service }) => service)).toEqual(["delay_model", "delay_model@2", "delay_model@2"]);
    const { text } = await world.monitor.page();
    expect(text).toMatch(/onefold_consumer_vectors_total\{service="delay_model",consumer=""\} 1\n/);
    expect(text).toMatch(/onefold_consumer_vectors_total\{service="delay_model@2",consumer=""\} 2\n/);
  } finally {
    world.monitor.stop();
  }
});
