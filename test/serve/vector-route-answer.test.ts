import { expect, it } from "vitest";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { vectorRouteAnswer } from "../../src/serve/vector-route-answer.ts";
import { createWorld } from "./served-world.ts";

it("a vector's answer says the same as data and as text", async () => {
  const world = await createWorld();
  world.arrive({ origin: "Zürich" });
  const reader = createFeatureReader(world);
  const plan = reader.servicePlan("delay_model");
  for (const airport of ["Zürich", "nowhere", 'quote " and \u2028']) {
    const entities = { airport, route: [airport, "LAX"] };
    const vector = reader.vector("delay_model", entities);
    for (const full of [true, false]) {
      for (const token of [true, false]) {
        const label = { service: "delay_model", entities };
        const answer = vectorRouteAnswer(label, plan, vector, { full, token }, performance.now(), world.clock);
        expect(answer.jsonText!()).toBe(JSON.stringify(answer.body));
        expect(Object.keys(answer.headers ?? {})).toEqual(token ? ["x-onefold-token"] : []);
      }
    }
  }
});
