/** An experiment by a client, over either transport: the version's vector, and which version it is. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createClient, type OnefoldClient } from "../../src/client/index.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { openHttpServer } from "../../src/serve/http.ts";
import { openRespServer } from "../../src/serve/resp/server.ts";
import { experimentDefinitions, halfVariant } from "../serve/experiment-world.ts";
import { createWorld, type World } from "../serve/served-world.ts";

const transports = [
  { scheme: "http", openDoor: (world: World) => openHttpServer(createFeatureReader(world), world, { port: 0 }) },
  {
    scheme: "redis",
    openDoor: (world: World) => openRespServer(createFeatureReader(world), world, "1.2.3", { port: 0 }),
  },
];

describe.each(transports)("an experiment over $scheme", ({ scheme, openDoor }) => {
  let door: Awaited<ReturnType<typeof openDoor>>;
  let client: OnefoldClient;
  beforeEach(async () => {
    const world = await createWorld(experimentDefinitions);
    for (let i = 0; i < 20; i++) world.arrive({ origin: `U${i}`, delay: i });
    door = await openDoor(world);
    client = createClient({ url: `${scheme}://127.0.0.1:${door.port}`, timeoutMs: 30_000 });
  });
  afterEach(async () => {
    await client.close();
    await door.close();
  });

  it("is asked for where a service is, and each vector says which version it is of", async () => {
    const units = Array.from({ length: 20 }, (_, i) => `U${i}`);
    const asked = units.map((unit) => ({ airport: unit, route: [unit, "LAX"] }));
    const vectors = await client.vectors("by_airport", asked);
    expect(vectors.map(({ metadata }) => metadata["variant"])).toEqual(
      units.map((unit) => halfVariant("by_airport", unit)),
    );
    expect(vectors.map(({ features }) => features["mean_delay_1h"])).toEqual(units.map((_, i) => i));
    for (const { features, metadata } of vectors) {
      expect("arrivals_1h" in features).toBe(metadata["variant"] === "delay_rich@1");
    }
  });
});
