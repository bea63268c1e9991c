import { expect, it } from "vitest";
import { writtenText } from "../../src/serve/answer-bytes.ts";
import { serviceKeys } from "../../src/serve/entity-input.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import type { RouteAnswer } from "../../src/serve/route.ts";
import { vectorRouteAnswer } from "../../src/serve/vector-route-answer.ts";
import { createWorld } from "./served-world.ts";

it("a vector's answer says the same as data and as text", async () => {
  const world = await createWorld();
  world.arrive({ origin: "Zürich" });
  const reader = createFeatureReader(world);
  const plan = reader.servicePlan("delay_model");
  for (const airport of ["Zürich", "nowhere", 'quote " and \u2028']) {
    const entities = { airport, route: [airport, "LAX"] };
    const keys = serviceKeys(plan.entities, entities);
    for (const full of [true, false]) {
      for (const token of [true, false]) {
        const label = { service: "delay_model", entities };
        const answer = vectorRouteAnswer(label, {
          plan,
          keys,
          reader,
          options: { full, token },
          startMs: performance.now(),
          clock: world.clock,
        }) as RouteAnswer;
        expect(writtenText((out) => answer.writeJson!(out))).toBe(JSON.stringify(answer.body));
        expect(Object.keys(answer.headers ?? {})).toEqual(token ? ["x-onefold-token"] : []);
      }
    }
  }
});
