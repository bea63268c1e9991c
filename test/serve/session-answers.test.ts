/**
 * What a session window looks like from outside: in full metadata, in the registry, in text and in a difference.
 */
import { describe, expect, it } from "vitest";
import { formatAggregation } from "../../src/cli/definition-text.ts";
import type { ViewDefinition } from "../../src/define/definition.ts";
import type { Aggregation } from "../../src/define/aggregation-definition.ts";
import { toData } from "../../src/registry/definition-data.ts";
import { differences } from "../../src/registry/diff.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { answerDefinition } from "../../src/serve/registry-answer.ts";
import { answerMetadata } from "../../src/serve/vector-answer.ts";
import { createWorld, definitions } from "./served-world.ts";

const MINUTE = 60_000_000;
const template = definitions.find((definition) => definition.kind === "view") as ViewDefinition;
const inSession: Aggregation = {
  fn: "count",
  over: { kind: "session", gapMicros: 30 * MINUTE, maxMicros: 1440 * MINUTE },
};
const sessions: Aggregation = { fn: "countSessions", parameters: { gapMicros: 30 * MINUTE } };
const view: ViewDefinition = {
  ...template,
  name: "sessions",
  version: 1,
  features: [
    { name: "arrivals", type: { name: "int64" }, aggregation: inSession },
    { name: "sessions", type: { name: "int64" }, aggregation: sessions },
  ],
};

describe("a session window", () => {
  it("starts just before its first event in full metadata, and at asOf where there is none", async () => {
    const world = await createWorld([...definitions, view]);
    const reader = createFeatureReader(world);
    const metadata = (): unknown => {
      const plan = reader.featurePlan("airport", ["sessions:arrivals", "sessions:sessions"]);
      const key = world.view("sessions", 1).fold.keyOf(["JFK", "LAX", "1", 0, 5]);
      const { features } = answerMetadata(plan, reader.read(plan, [key]), { full: true, token: false });
      return features;
    };
    const session = { window_bound_ms: 15 * 60_000, exact: true, error: 0 };
    expect(metadata()).toMatchObject({ "sessions:arrivals": { ...session, window_start: "2001-06-01T12:00:00Z" } });
    world.arrive({});
    expect(metadata()).toMatchObject({
      "sessions:arrivals": { ...session, window_start: "2001-06-01T11:59:59.999999Z" },
      "sessions:sessions": { window_start: null, window_bound_ms: null, exact: true },
    });
  });

  it("is written in the registry as in its definition", () => {
    const registered = { definition: view, fingerprint: "", createdAt: "", revision: 1 };
    const answer = answerDefinition(registered as never) as { features: { aggregation: unknown }[] };
    expect(answer.features.map(({ aggregation }) => aggregation)).toEqual([
      { fn: "count", over: { session: "30m", max: "1d" } },
      { fn: "countSessions", parameters: { gap: "30m" } },
    ]);
  });

  it("reads as text", () => {
    expect(formatAggregation(inSession)).toBe("count() over session 30m, at most 1d");
    expect(formatAggregation(sessions)).toBe("countSessions(gap 30m)");
  });

  it("differs in words", () => {
    const withOver = (over: Aggregation["over"]): ViewDefinition => ({
      ...view,
      features: [{ ...view.features[0]!, aggregation: { fn: "count", over: over! } }],
    });
    const before = toData(withOver({ kind: "time", micros: 60 * MINUTE }));
    const after = toData(withOver(inSession.over));
    expect(differences(before, after)).toEqual([
      expect.stringContaining("features.arrivals.aggregation.over: 1h -> session 30m, at most 1d"),
    ]);
  });
});
