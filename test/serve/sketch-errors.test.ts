/**
 * How far a sketched value may be off is said beside it, from the fold to the answer's metadata.
 */
import { describe, expect, it } from "vitest";
import type { ViewDefinition } from "../../src/define/definition.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { answerMetadata } from "../../src/serve/vector-answer.ts";
import { createWorld, definitions } from "./served-world.ts";

const template = definitions.find((definition) => definition.kind === "view") as ViewDefinition;
const sketched: ViewDefinition = {
  ...template,
  name: "sketched",
  version: 1,
  features: [
    { name: "accounts", type: { name: "int64" }, aggregation: { fn: "countDistinct", column: "account" } },
    {
      name: "median_delay",
      type: { name: "float64" },
      aggregation: { fn: "quantile", column: "delay", parameters: { q: 0.5 } },
    },
    { name: "arrivals", type: { name: "int64" }, aggregation: { fn: "count" } },
  ],
};

describe("full metadata of sketched features", () => {
  it("carries the stated error, and calls no approximate value exact", async () => {
    const world = await createWorld([...definitions, sketched]);
    const reader = createFeatureReader(world);
    const metadata = (): unknown => {
      const plan = reader.featurePlan("airport", ["sketched:accounts", "sketched:median_delay", "sketched:arrivals"]);
      const key = world.view("sketched", 1).fold.keyOf(["JFK", "LAX", "1", 0, 5]);
      const vector = reader.read(plan, [key]);
      const { features } = answerMetadata(plan, vector, { full: true, token: false });
      return Object.values(features as Record<string, { exact: boolean; error: number }>).map(({ exact, error }) => [
        exact,
        error,
      ]);
    };
    for (let i = 0; i < 100; i++) world.arrive({ account: String(i), delay: i });
    expect(metadata()).toEqual([
      [true, 0],
      [true, 0],
      [true, 0],
    ]);
    for (let i = 0; i < 400; i++) world.arrive({ account: String(i), delay: i });
    expect(metadata()).toEqual([
      [false, 1.04 / Math.sqrt(2048)],
      [false, 1 / 129],
      [true, 0],
    ]);
  });
});
