/** Services of which experiments choose, over the definitions of the served world. */
import type { Definition, ServiceDefinition } from "../../src/define/definition.ts";
import type { ExperimentDefinition } from "../../src/define/experiment-definition.ts";
import { POINTS } from "../../src/define/experiment-layout.ts";
import { unitPoint } from "../../src/define/unit-assignment.ts";
import { definitions } from "./served-world.ts";

export const plain: ServiceDefinition = {
  kind: "service",
  name: "delay_plain",
  features: [{ view: "origin_delays", version: 1, feature: "mean_delay_1h", as: "mean_delay_1h" }],
};
export const rich: ServiceDefinition = {
  kind: "service",
  name: "delay_rich",
  features: [
    { view: "route_delays", version: 1, feature: "route_arrivals_1h", as: "route_arrivals_1h" },
    { view: "origin_delays", version: 2, feature: "mean_delay_1h", as: "mean_delay_1h" },
    { view: "origin_delays", version: 2, feature: "arrivals_1h", as: "arrivals_1h" },
  ],
};

function experiment(name: string, more: Partial<ExperimentDefinition>): ExperimentDefinition {
  return {
    kind: "experiment",
    name,
    variants: [
      { service: "delay_plain", version: 1 },
      { service: "delay_rich", version: 1 },
    ],
    weights: [50, 50],
    unit: { from: "entity", name: "airport" },
    salt: name,
    ...more,
  };
}

export const byAirport = experiment("by_airport", { overrides: [{ unit: "PLAIN", variant: 0 }] });
export const bySession = experiment("by_session", { unit: { from: "request", name: "session" }, exposures: 0 });

export const experimentDefinitions: readonly Definition[] = [...definitions, plain, rich, byAirport, bySession];

/** What a unit is served while the weights are equal. */
export function halfVariant(salt: string, unit: string): "delay_plain@1" | "delay_rich@1" {
  return unitPoint(salt, unit) < POINTS / 2 ? "delay_rich@1" : "delay_plain@1";
}

/** The first units that are served each of the two. */
export function unitsOfEach(salt: string): { readonly plain: string; readonly rich: string } {
  const units = Array.from({ length: 100 }, (_, i) => `U${i}`);
  return {
    plain: units.find((unit) => halfVariant(salt, unit) === "delay_plain@1")!,
    rich: units.find((unit) => halfVariant(salt, unit) === "delay_rich@1")!,
  };
}
